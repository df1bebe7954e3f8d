#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the deployed cluster one question, show the answer token by token, and say how to go on.

Usage: first_chat.py [URL]. Without a URL it is taken from Ansible's inventory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import requests

HTTP_PORT = 80
# The provider that is in the cluster.
LOCAL = "local"
QUESTION = "What is the capital of France?"

SUMMARY = """
The cluster answers at {url}/v1 (OpenAI protocol) and {url}/?text=... (Free-GPT4-WEB-API protocol).

  curl -N {url}/v1/chat/completions -H 'Content-Type: application/json' \\
       -d '{{"model": "{model}", "stream": true,
            "messages": [{{"role": "user", "content": "Hello"}}]}}'

  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="none")
  print(client.chat.completions.create(
      model="{model}", messages=[{{"role": "user", "content": "Hello"}}],
  ).choices[0].message.content)

The administrator's first password is in {password_file} on the host.
`make help` lists what else can be done. To scale, edit llm_api_replicas in
inventory/group_vars/all/main.yml and run `make up` again.
"""

PRIVATE = """
The cluster runs at {url}, in private mode: it answers those who have a token. On the host,

  docker exec api1 python -m llm_api.tokens create NAME

makes one. The administrator's first password is in {password_file} there.
"""


@dataclass(frozen=True)
class Cluster:
    """What Ansible's inventory says of the cluster."""

    url: str
    directory: str = "/opt/freegpt4"

    @property
    def password_file(self) -> str:
        """Where the host keeps the administrator's first password."""
        return f"{self.directory}/secrets/llm-api/admin_password"


class PrivateError(Exception):
    """The cluster answers nobody without a token."""


class ChatError(Exception):
    """The cluster did not answer; the message says what to look at."""


def cluster_of_inventory() -> Cluster:
    """Return the cluster as Ansible's inventory has it.

    Raises:
        ChatError: the inventory names no host in the group `freegpt4`.
    """
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "--list"]
    # S603: the command is fixed, nothing of it comes from outside.
    inventory = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603
    try:
        name = inventory["freegpt4"]["hosts"][0]
    except (KeyError, IndexError):
        raise ChatError("the inventory has no host in the group freegpt4") from None
    host = inventory["_meta"]["hostvars"].get(name, {})
    local = host.get("ansible_connection") == "local"
    address = "127.0.0.1" if local else host.get("ansible_host", name)
    port = int(host.get("gateway_http_port", HTTP_PORT))
    url = f"http://{address}" if port == HTTP_PORT else f"http://{address}:{port}"
    return Cluster(url, host.get("cluster_directory", Cluster.directory))


def local_model(url: str) -> str:
    """Return a model of the cluster's own, or nothing if it has none.

    Who asks for it by name sends nothing to anybody else.

    Raises:
        ChatError: the cluster does not tell its models.
    """
    response = requests.get(f"{url}/v1/models", timeout=(5, 30))
    if response.status_code != requests.codes.ok:
        raise ChatError(f"status {response.status_code}: {response.text.strip()[:500]}")
    models = response.json()["data"]
    return next((model["id"] for model in models if model["owned_by"] == LOCAL), "")


def chat(url: str) -> str:
    """Stream one answer to standard output and return the name of the model that gave it.

    Raises:
        PrivateError: an answer takes a token.
        ChatError: no complete answer came.
    """
    body = {
        "stream": True,
        "model": local_model(url),
        "max_tokens": 64,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    start = time.monotonic()
    first = None
    model = ""
    with requests.post(
        f"{url}/v1/chat/completions", json=body, stream=True, timeout=(5, 120)
    ) as response:
        if response.status_code == requests.codes.unauthorized:
            raise PrivateError
        if response.status_code != requests.codes.ok:
            raise ChatError(f"status {response.status_code}: {response.text.strip()[:500]}")
        print(f"\nYou:     {QUESTION}\nCluster: ", end="", flush=True)
        for line in response.iter_lines(chunk_size=None):  # as it comes, not by the block
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]":
                break
            chunk = json.loads(line.removeprefix(b"data: "))
            if "error" in chunk:
                raise ChatError(str(chunk["error"].get("message")))
            model = chunk.get("model") or model
            text = "".join(c["delta"].get("content") or "" for c in chunk["choices"])
            if text and first is None:
                first = time.monotonic() - start
            print(text, end="", flush=True)
        else:
            raise ChatError("the answer broke off")
    if first is None:
        raise ChatError("the answer is empty")
    print(f"\n\nFirst token after {first:.2f} s, all after {time.monotonic() - start:.2f} s.")
    return model


def main() -> int:
    """Run the command and return its exit code."""
    try:
        cluster = Cluster(sys.argv[1].rstrip("/")) if len(sys.argv) > 1 else cluster_of_inventory()
        about = {"url": cluster.url, "password_file": cluster.password_file}
        try:
            print(SUMMARY.format(model=chat(cluster.url), **about), end="")
        except PrivateError:
            print(PRIVATE.format(**about), end="")
    except (ChatError, requests.RequestException, subprocess.CalledProcessError) as error:
        print(
            f"\nThe cluster is deployed but did not answer: {error}\n"
            "`docker logs gateway`, `docker logs api1` and `docker logs model` say more.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
