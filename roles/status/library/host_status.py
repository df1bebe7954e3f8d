#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module that collects what a host's part of the cluster does at the moment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_status
short_description: Collects what a host's part of the cluster does at the moment
description:
  - Changes nothing. What cannot be learnt is null in what it returns, and C(faults) says why.
  - It takes about two seconds, in which the engine watches what the containers use.
options:
  name:
    description: Project name in the containers' labels.
    type: str
    required: true
  directory:
    description: Folder of the cluster.
    type: path
    required: true
  certificates:
    description: Folder of the certificates that the gateway serves.
    type: path
    required: true
  metrics:
    description: Folder that the renewal of certificates and the restarts of replicas report to.
    type: path
    required: true
  seconds:
    description: Seconds of the access log that are looked at.
    type: int
    default: 60
"""

RETURN = """
status:
  description:
    - C(time) in seconds since 1970, C(containers), C(kept) (names of stopped ones of an old
      release), C(gateway), C(providers) by replica, C(certificates), C(disks), C(deploy) (the
      last line of the audit log), C(autoheal) and C(faults).
  type: dict
  returned: always
"""

# Runs a command and returns what it printed; raises OSError with what it complained of.
Run = Callable[[Sequence[str]], str]

# A name that the rollout gives to what it keeps for a rollback.
KEPT = re.compile(r"-[0-9a-f]{8}$")
REPLICA = re.compile(r"api\d+")

# The end of the audit log that is read.
TAIL = 65536

# Commands at a time: each starts a process in a container.
PARALLEL = 4

# Seconds that a command may take.
TIMEOUT = 15

# Prints what the replica's own page on providers says, where no token is needed for it.
ASK_PROVIDERS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:5500/v1/providers", timeout=4).read().decode())
"""

# Prints what the gateway's own page for the operator says; which one is the first argument.
GET = """
exec 3<>/dev/tcp/127.0.0.1/8081
printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "$0" >&3
cat <&3
"""


def collect(
    name: str, *, directory: Path, certificates: Path, metrics: Path, seconds: int, run: Run
) -> Any:
    """Return all that there is to know, in the shape that `RETURN` describes."""
    faults: list[str] = []

    def learn(what: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (OSError, ValueError, KeyError) as error:
            faults.append(f"{what}: {str(error).strip()[-300:]}")
            return None

    details = learn("Docker", lambda: inspect(name, run)) or []
    containers = [container(each) for each in details if not is_kept(each)]
    running = [each["name"] for each in containers if each["state"] == "running"]
    with ThreadPoolExecutor(PARALLEL) as pool:
        used = pool.submit(learn, "docker stats", lambda: usage(running, run))
        gateway = pool.submit(learn, "gateway", lambda: ask_gateway(running, seconds, run))
        replicas = [each for each in running if REPLICA.fullmatch(each)]
        answers = pool.map(lambda replica: ask_providers(replica, run), replicas)
        providers = dict(zip(replicas, answers, strict=True))
    for each in containers:
        each.update((used.result() or {}).get(each["name"], {"cpu": None, "memory": None}))
        entries = providers.get(each["name"])
        each["open"] = None if entries is None else sum(entry["under_way"] for entry in entries)
    return {
        "time": time.time(),
        "containers": containers,
        "kept": sorted(bare_name(each) for each in details if is_kept(each)),
        "gateway": gateway.result(),
        "providers": providers,
        "certificates": learn("certificates", lambda: read_certificates(certificates, metrics)),
        "disks": learn("disk", lambda: list(read_disks([directory, *engine_folder(details, run)]))),
        "deploy": learn("deploys.log", lambda: last_deploy(directory / "logs/deploys.log")),
        "autoheal": learn("autoheal", lambda: read_json(metrics / "autoheal.json")) or {},
        "faults": faults,
    }


def inspect(name: str, run: Run) -> list[Any]:
    """Return what the engine says of each container of the cluster."""
    label = f"label=com.docker.compose.project={name}"
    ids = run(["docker", "ps", "--all", "--quiet", "--filter", label]).split()
    if not ids:
        return []
    found: list[Any] = json.loads(run(["docker", "inspect", *ids]))
    oneoff = "com.docker.compose.oneoff"
    return [each for each in found if each["Config"]["Labels"].get(oneoff) != "True"]


def bare_name(details: Mapping[str, Any]) -> str:
    """Return the name of a container as people write it."""
    return str(details["Name"]).removeprefix("/")


def is_kept(details: Mapping[str, Any]) -> bool:
    """Return whether a container is a stopped one of an old release."""
    return bool(KEPT.search(bare_name(details))) and not details["State"]["Running"]


def container(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what matters of a container."""
    state, labels = details["State"], details["Config"]["Labels"]
    return {
        "name": bare_name(details),
        "service": labels.get("com.docker.compose.service", bare_name(details)),
        "release": labels.get("freegpt4.release", ""),
        "state": state["Status"],
        "health": state.get("Health", {}).get("Status", ""),
        "started": seconds_of(state["StartedAt"]) if state["Running"] else None,
        "memory_limit": details["HostConfig"]["Memory"],
        "restarts": details["RestartCount"],
    }


def seconds_of(text: str) -> float:
    """Return a time of the engine's, which has nanoseconds, in seconds since 1970."""
    return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()


def usage(names: Sequence[str], run: Run) -> dict[str, dict[str, float]]:
    """Return the CPU of running containers, in cores, and their memory, in bytes, by name."""
    if not names:
        return {}
    lines = run(["docker", "stats", "--no-stream", "--format", "{{json .}}", *names]).splitlines()
    found = {}
    for entry in map(json.loads, lines):
        memory = entry["MemUsage"].partition("/")[0].strip()
        cpu = float(entry["CPUPerc"].rstrip("%")) / 100
        found[entry["Name"]] = {"cpu": round(cpu, 4), "memory": bytes_of(memory)}
    return found


def bytes_of(text: str) -> int:
    """Return a size as the engine writes it, such as 20.5MiB, in bytes.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9.]+)([KMGT]i)?B", text)
    if not match:
        raise ValueError(f"{text} is no size")
    return int(float(match[1]) * 1024 ** ["", "Ki", "Mi", "Gi", "Ti"].index(match[2] or ""))


def ask_gateway(running: Sequence[str], seconds: int, run: Run) -> Any:
    """Return what the gateway knows: its connections, its check of the replicas, its figures."""
    if "gateway" not in running:
        return None
    inside = ["docker", "exec", "gateway"]
    figures = run(
        [*inside, "python3", "-m", "gateway_control", "figures", "--seconds", str(seconds)]
    )
    page = (
        "exec 3<>/dev/tcp/127.0.0.1/8081; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$0\" >&3; cat <&3"
    )
    status = run([*inside, "bash", "-c", page, "/status"])
    checked = run([*inside, "bash", "-c", page, "/replicas"]).replace("\r\n", "\n")
    _, _, checks = checked.partition("\n\n")
    active = re.search(r"Reading: (\d+) Writing: (\d+)", status)
    return {
        # One of those that are written to is the question itself.
        "open": int(active[2]) - 1 if active else None,
        "replicas": json.loads(checks)["replicas"] if checks.startswith("{") else [],
        "figures": json.loads(figures),
    }


def ask_providers(replica: str, run: Run) -> list[Any] | None:
    """Return what a replica says of its providers: None if it says nothing without a token."""
    with suppress(OSError, ValueError, KeyError):
        answer = run(["docker", "exec", replica, "python", "-c", ASK_PROVIDERS])
        return [
            {key: entry[key] for key in ("name", "state", "under_way", "requests", "success_rate")}
            for entry in json.loads(answer)["data"]
        ]
    return None


def read_certificates(folder: Path, metrics: Path) -> list[dict[str, Any]]:
    """Return the certificates that are served.

    The metrics of their renewal say when each expires and whether the last renewal went well:
    None where they say nothing of it.
    """
    text = "".join(path.read_text() for path in metrics.glob("*.prom"))
    found = re.findall(r'^freegpt4_certificate_(\w+)\{name="([^"]+)"\} (\d+)', text, re.M)
    values = {(name, metric): int(value) for metric, name, value in found}
    return [
        {
            "name": path.name,
            "end": values.get((path.name, "not_after_seconds")),
            "renewal_ok": values.get((path.name, "renewal_ok")),
        }
        for path in sorted(folder.glob("*"))
        if any(path.glob("[!.]*/fullchain.pem"))
    ]


def engine_folder(details: Sequence[Any], run: Run) -> list[Path]:
    """Return where the engine keeps its data, if there is an engine with something of ours."""
    if not details:
        return []
    return [Path(run(["docker", "info", "--format", "{{.DockerRootDir}}"]).strip())]


def read_disks(folders: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield each disk that one of `folders` is on, with its free and its whole size in bytes."""
    seen = set()
    for folder in folders:
        if not folder.exists() or folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        found = os.statvfs(folder)
        yield {
            "path": str(folder),
            "free": found.f_bavail * found.f_frsize,
            "size": found.f_blocks * found.f_frsize,
        }


def last_deploy(log: Path) -> Any:
    """Return the last whole line of the audit log: None if there is none."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
        lines = file.read().splitlines()
    for line in reversed(lines):
        with suppress(ValueError):
            return json.loads(line)
    return None


def read_json(path: Path) -> Any:
    """Return what a file says: None if it is not there."""
    return json.loads(path.read_text()) if path.exists() else None


def run_command(command: Sequence[str]) -> str:
    """Run a command and return what it printed.

    Raises:
        OSError: it is not there, failed, or did not end.
    """
    try:
        # S603: the commands are those above.
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} {command[1]} did not end within {TIMEOUT} s") from error
    if result.returncode:
        raise OSError(result.stderr or f"{command[0]} failed with {result.returncode}")
    return result.stdout


def main() -> None:
    """Run the module as Ansible does."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "certificates": {"type": "path", "required": True},
            "metrics": {"type": "path", "required": True},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )

    status = collect(
        module.params["name"],
        **{name: Path(module.params[name]) for name in ("directory", "certificates", "metrics")},
        seconds=module.params["seconds"],
        run=run_command,
    )
    module.exit_json(changed=False, status=status)


if __name__ == "__main__":
    main()
