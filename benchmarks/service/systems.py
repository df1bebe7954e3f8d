"""The systems under test, and how each is started before the fake upstream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.service import load, pinning
from benchmarks.service.wire import MODEL

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "llm-api-service"
SERVICE_PYTHON = SERVICE / ".venv/bin/python"
PEERS = ROOT / ".cache/peers"
KEY = "sk-benchmark-0123456789abcdef"
G4F_CLASS = "Custom"
# Whatever a peer tries to fetch from outside ends here at once. Nothing listens on this port.
NO_WAY_OUT = "http://127.0.0.1:9"
# More than are ever begun at once.
MAX_STREAMS = 2500
START_LIMIT = 120.0


class StartError(RuntimeError):
    """A system did not become ready."""


@dataclass
class System:
    """A system that runs, or, without a process, the upstream itself."""

    name: str
    port: int
    key: str = ""
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def pid(self) -> int:
        """The process that it was started as."""
        return self.process.pid if self.process else 0

    def stop(self) -> None:
        """End it, and what it started."""
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Recipe:
    """How to start a system."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/health/ready"
    key: str = ""
    port: int = 0

    def start(self, folder: Path, *, prefix: tuple[str, ...] = ()) -> System:
        """Start it in `folder`, pinned to its core; it is not ready yet."""
        home = folder / self.name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for name, text in self.files.items():
            (home / name).write_text(text)
        log = home / "log"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "HTTP_PROXY": NO_WAY_OUT,
            "HTTPS_PROXY": NO_WAY_OUT,
            "NO_PROXY": "127.0.0.1,localhost",
            **self.environ,
        }
        with log.open("wb") as output:
            # S603: the commands are those of this module.
            process = subprocess.Popen(  # noqa: S603
                [*prefix, *self.command],
                cwd=home,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=pinning.pin_system,  # noqa: PLW1509 (this process has one thread)
            )
        return System(self.name, self.port, self.key, process, log)


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def recipes(upstream: int) -> list[Recipe]:
    """Return all systems, before the upstream on that port."""
    return [
        service("openai", upstream),
        service("g4f", upstream),
        litellm(upstream),
        g4f_api(upstream),
    ]


def service(adapter: str, upstream: int) -> Recipe:
    """Return this repository's service, before the upstream by way of `adapter`."""
    port = free_port()
    url = f"http://127.0.0.1:{upstream}/v1"
    if adapter == "openai":
        entry = {"name": "upstream", "adapter": "openai", "base_url": url, "models": [MODEL]}
        command: tuple[str, ...] = (str(SERVICE_PYTHON), "-m", "llm_api")
    else:
        entry = {"name": G4F_CLASS, "adapter": "g4f", "models": [MODEL]}
        command = (str(SERVICE_PYTHON), "-m", "benchmarks.service.with_g4f", url, "llm_api")
    return Recipe(
        f"service {adapter}",
        command,
        {
            # Coverage of the tests would come along with their environment.
            "PYTHONPATH": os.pathsep.join((str(SERVICE / "src"), str(ROOT))),
            "PORT": str(port),
            "PROVIDERS_FILE": "providers.json",
            "MAX_STREAMS": str(MAX_STREAMS),
            "DATABASE_URL": "sqlite:///state.db",
            **_quiet_g4f(),
        },
        {"providers.json": json.dumps([entry])},
        port=port,
    )


def litellm(upstream: int) -> Recipe:
    """Return LiteLLM's proxy as its documentation has it for production, and offline."""
    port = free_port()
    url = f"http://127.0.0.1:{upstream}/v1"
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none"},
            }
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False, "num_retries": 0, "request_timeout": 600},
    }
    return Recipe(
        "litellm",
        (
            *(str(PEERS / "bin/litellm"), "--config", "config.yaml", "--telemetry", "False"),
            *("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
        ),
        {
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
            "DISABLE_ADMIN_UI": "True",
            "NO_DOCS": "True",
        },
        # JSON is YAML.
        {"config.yaml": json.dumps(config)},
        ready="/health/readiness",
        key=KEY,
        port=port,
    )


def g4f_api(upstream: int) -> Recipe:
    """Return g4f's own API server, whose provider asks the upstream."""
    port = free_port()
    return Recipe(
        "g4f api",
        (
            *(str(PEERS / "bin/python"), "-m", "benchmarks.service.with_g4f"),
            *(f"http://127.0.0.1:{upstream}/v1", "g4f.cli", "api", "--bind", f"127.0.0.1:{port}"),
            *("--provider", G4F_CLASS, "--model", MODEL, "--no-gui", "--ignore-cookie-files"),
            "--disable-colors",
        ),
        {"PYTHONPATH": str(ROOT), **_quiet_g4f()},
        ready="/v1/models",
        port=port,
    )


def _quiet_g4f() -> dict[str, str]:
    return {"G4F_CONFIG_DIR": "g4f-config", "G4F_CACHE_DIR": "g4f-cache"}


async def wait_ready(system: System, path: str, limit: float = START_LIMIT) -> float:
    """Return how many seconds from now `system` needs to answer `path` with 200.

    Raises:
        StartError: it ended, or took too long.
    """
    start = time.monotonic()
    while time.monotonic() - start < limit:
        if system.process and system.process.poll() is not None:
            break
        with contextlib.suppress(OSError, TimeoutError):
            status, _ = await load.call(system.port, "GET", path)
            if status == 200:  # noqa: PLR2004
                return time.monotonic() - start
        await asyncio.sleep(0.02)
    tail = system.log.read_text(errors="replace")[-3000:] if system.log else ""
    raise StartError(f"{system.name} is not ready after {time.monotonic() - start:.0f} s:\n{tail}")


def start_upstream() -> System:
    """Start the fake upstream and return it as a system without a process to measure.

    Raises:
        StartError: it ended.
    """
    # S603: the command is fixed.
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.service.upstream"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    if not process.stdout or not (line := process.stdout.readline()):
        raise StartError("the fake upstream did not start")
    return System("upstream", int(line), process=process)


def ensure_peers() -> None:
    """Make the peers' environment from its lock file, where it is not there yet."""
    lock = ROOT / "benchmarks/peers/requirements.lock"
    stamp = PEERS / ".lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    print("Installing the peers into .cache/peers")
    uv = str(ROOT / ".cache/uv/bin/uv")
    environ = os.environ | {"VIRTUAL_ENV": str(PEERS)}
    # S603: the commands are fixed.
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(PEERS)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", str(lock)],
    ):
        subprocess.run(command, check=True, env=environ)  # noqa: S603
    stamp.write_bytes(lock.read_bytes())
