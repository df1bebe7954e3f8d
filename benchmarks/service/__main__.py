"""Measure the API service against its peers: `python -m benchmarks.service --help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from benchmarks.service import figures, limits, pinning, systems
from benchmarks.service.scenarios import LONG, REPEATED, SCENARIOS, Bench, as_json, warm_up

PEERS = ("litellm", "g4f api")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=SCENARIOS, metavar="SCENARIO", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help="names, or their beginnings")
    parser.add_argument("--rounds", type=int, default=2, help="of what is repeated (default 2)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a measurement (default 3)")
    parser.add_argument("--long", action="store_true", help="with the 100,000 requests, too")
    parser.add_argument("--requests", type=int, default=100_000, help="of the long scenario")
    parser.add_argument("--json", type=Path, default=systems.ROOT / ".cache/benchmark.json")
    return parser.parse_args()


def _about() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    versions = {name: metadata.version(name) for name in ("uvicorn", "flask", "aiohttp", "g4f")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
        "versions": versions,
    }


async def _run(options: argparse.Namespace, folder: Path) -> Bench:
    names = options.only or [name for name in SCENARIOS if options.long or name not in LONG]
    upstream = systems.start_upstream()
    chosen = [
        recipe
        for recipe in systems.recipes(upstream.port)
        if not options.systems or recipe.name.startswith(tuple(options.systems))
    ]
    bench = Bench(upstream, chosen, folder, options.seconds, options.requests)
    try:
        await _measure(bench, names, options.rounds)
    finally:
        for system in (*bench.systems, upstream):
            system.stop()
    return bench


async def _measure(bench: Bench, names: Sequence[str], rounds: int) -> None:
    # These two start systems of their own.
    if "ready" in names:
        print("ready …", flush=True)
        await SCENARIOS["ready"](bench)
    if set(names) - {"ready", "sigterm"}:
        for recipe in bench.recipes:
            print(f"starting {recipe.name} …", flush=True)
            bench.systems.append(recipe.start(bench.folder))
            await systems.wait_ready(bench.systems[-1], recipe.ready)
        if "idle" in names:
            await SCENARIOS["idle"](bench)
        await warm_up(bench)
    for name in names:
        if name in ("ready", "idle"):
            continue
        for number in range(rounds if name in REPEATED else 1):
            start = time.monotonic()
            await SCENARIOS[name](bench)
            took = time.monotonic() - start
            print(
                f"{name}, round {number + 1}: {took:.0f} s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def main() -> int:
    """Run what is asked for, print a table, and return 1 if a figure is not what it has to be."""
    options = _options()
    wanted = tuple(options.systems or PEERS)
    if any(peer.startswith(wanted) for peer in PEERS):
        systems.ensure_peers()
    pinning.pin_to(pinning.OURS)
    about = _about()
    # The folder's path must be short, and the systems must be able to write there.
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        bench = runner.run(_run(options, Path(folder)))
    about["load_after"] = os.getloadavg()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(as_json(bench, about))
    print(
        f"\n{about['date']}, {about['cpu']}, {about['cores']} cores, Python {about['python']}, ",
        end="",
    )
    print(f"load {about['load_before'][0]:.1f} before and {about['load_after'][0]:.1f} after\n")
    measured = bench.figures()
    print(figures.overview(measured, PEERS))
    for note in bench.notes:
        print(f"- {note}")
    problems = limits.problems(measured)
    for problem in problems:
        print(f"! {problem}")
    print(f"\nAll samples: {options.json}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
