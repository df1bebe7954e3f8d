#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the deployed cluster one question, show the answer token by token, and say how to go on.

Usage: first_chat.py [URL]. Without a URL it is taken from Ansible's inventory. A cluster that leads
to HTTPS is asked at the same address by its name, whether this machine can resolve that or not;
REQUESTS_CA_BUNDLE names the authorities to trust, where those are not the system's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

HTTP_PORT = 80
HTTPS_PORT = 443
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


@dataclass(frozen=True)
class Door:
    """Where the cluster is asked.

    Attributes:
        session: by which to ask.
        base: the URL that leads to it from here.
        url: the URL that others use.
    """

    session: requests.Session
    base: str
    url: str


class Named(HTTPAdapter):
    """Expects of whoever answers a certificate for `name`, whatever the URL says."""

    def __init__(self, name: str) -> None:
        """Expect it of every host."""
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the connections."""
        options |= {"server_hostname": self._name, "assert_hostname": self._name}
        super().init_poolmanager(*arguments, **options)


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


def find_door(url: str) -> Door:
    """Return where the cluster at `url` is asked: there, or by HTTPS if it leads to that.

    Raises:
        requests.RequestException: nobody answers.
    """
    session = requests.Session()
    answer = session.get(f"{url}/v1/models", allow_redirects=False, timeout=(5, 30))
    target = urlsplit(answer.headers.get("Location", ""))
    if not answer.is_redirect or target.scheme != "https" or not target.hostname:
        return Door(session, url, url)
    session.mount("https://", Named(target.hostname))
    session.headers["Host"] = target.netloc
    here = urlsplit(url)
    address = f"[{here.hostname}]" if ":" in (here.hostname or "") else here.hostname
    return Door(
        session, f"https://{address}:{target.port or HTTPS_PORT}", f"https://{target.netloc}"
    )


def local_model(door: Door) -> str:
    """Return a model of the cluster's own, or nothing if it has none.

    Who asks for it by name sends nothing to anybody else.

    Raises:
        PrivateError: it tells its models only to those who have a token.
        ChatError: the cluster does not tell its models.
    """
    response = door.session.get(f"{door.base}/v1/models", timeout=(5, 30))
    if response.status_code == requests.codes.unauthorized:
        raise PrivateError
    if response.status_code != requests.codes.ok:
        raise ChatError(f"status {response.status_code}: {response.text.strip()[:500]}")
    models = response.json()["data"]
    return next((model["id"] for model in models if model["owned_by"] == LOCAL), "")


def chat(door: Door) -> str:
    """Stream one answer to standard output and return the name of the model that gave it.

    Raises:
        PrivateError: an answer takes a token.
        ChatError: no complete answer came.
    """
    body = {
        "stream": True,
        "model": local_model(door),
        "max_tokens": 64,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    start = time.monotonic()
    first = None
    model = ""
    with door.session.post(
        f"{door.base}/v1/chat/completions", json=body, stream=True, timeout=(5, 120)
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
        door = find_door(cluster.url)
        about = {"url": door.url, "password_file": cluster.password_file}
        try:
            print(SUMMARY.format(model=chat(door), **about), end="")
        except PrivateError:
            print(PRIVATE.format(**about), end="")
    except requests.exceptions.SSLError as error:
        print(
            f"\nThe cluster is deployed, but this machine does not trust its certificate: {error}\n"
            "REQUESTS_CA_BUNDLE=FILE make up trusts the authorities in FILE.",
            file=sys.stderr,
        )
        return 1
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
