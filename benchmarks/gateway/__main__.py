"""Measure the gateway: `python -m benchmarks.gateway`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.gateway import render

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TAG = "freegpt4-benchmark/gateway"

# The limits work, and let the load through. What is kept idle is the same for both nginx.
VARIABLES: dict[str, Any] = {
    "gateway_keepalive": 128,
    "gateway_limit_rate": "1000000r/s",
    "gateway_limit_burst": 100000,
    "gateway_limit_connections": 65535,
}

# What the figures have to be.
MOST_OF_BARE = 1.2
LEAST_OF_CADDY = 3.0
LEAST_TOKENS = 35_000


def main() -> int:
    """Run the command and return 1 if a figure is not what it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of a second for each proxy")
    parser.add_argument("--json", type=Path, default=ROOT / ".cache/benchmark-gateway.json")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        image = _image(Path(folder))
        configuration = Path(folder, "live")
        configuration.mkdir()
        render(configuration, VARIABLES)
        Path(folder).chmod(0o755)
        result = _measure(image, configuration, options.rounds)
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1))
    return _report(result)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout  # noqa: S603


def _image(folder: Path) -> str:
    """Make the image, and the gateway's where it is missing."""
    tags = folder / "tags.json"
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    _run(playbook, "tests/images.yml", "-e", f"tests_tags_file={tags}")
    gateway = json.loads(tags.read_text())["gateway"]
    _run(
        "docker",
        "build",
        "--quiet",
        f"--build-arg=GATEWAY_IMAGE={gateway}",
        f"--tag={TAG}",
        str(HERE),
    )
    return TAG


def _measure(image: str, configuration: Path, rounds: int) -> dict[str, Any]:
    output = _run(
        *("docker", "run", "--rm", "--network=none", "--read-only"),
        *("--tmpfs=/tmp", "--tmpfs=/var/log/gateway", "--ulimit=nofile=16384:16384"),
        *("--add-host=api1:127.0.0.2", "--add-host=api2:127.0.0.3"),
        f"--env=ROUNDS={rounds}",
        *("--volume", f"{configuration}:/etc/gateway/live:ro"),
        image,
    )
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _report(result: dict[str, Any]) -> int:
    """Print a table, and return 1 if a figure is not what it has to be."""
    costs: dict[str, dict[str, list[float]]] = {}
    for kind, systems in result.items():
        costs[kind] = {
            name: [1e6 * run["cpu"] / run["count"] for run in runs]
            for name, runs in systems.items()
        }
        bad = sum(run["bad"] for runs in systems.values() for run in runs)
        print(f"\nCPU microseconds per {kind.removesuffix('s')}, median; {bad} bad answers")
        for name, each in costs[kind].items():
            cost = median(each)
            print(f"  {name:12} {cost:6.1f}  (least {min(each):.1f})  {1e6 / cost:9,.0f} per core")
    requests = costs["requests"]
    of_bare = _ratio(requests["gateway"], requests["bare nginx"])
    of_caddy = _ratio(requests["Caddy"], requests["gateway"])
    per_core = 1e6 / median(costs["tokens"]["gateway"])
    print(f"\n{of_bare:.2f} of bare nginx, which must be at most {MOST_OF_BARE}")
    print(f"{of_caddy:.2f} times better than Caddy, which must be at least {LEAST_OF_CADDY}")
    print(f"{per_core:,.0f} tokens a second and core, which must be at least {LEAST_TOKENS:,}")
    good = of_bare <= MOST_OF_BARE and of_caddy >= LEAST_OF_CADDY and per_core >= LEAST_TOKENS
    return 0 if good else 1


def _ratio(costs: list[float], others: list[float]) -> float:
    """Return the median of the rounds' ratios: the machine may be faster in one than in another."""
    return median(cost / other for cost, other in zip(costs, others, strict=True))


if __name__ == "__main__":
    sys.exit(main())
