"""What is measured. Each scenario adds its figures, by system, to a record."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.service import load, processes
from benchmarks.service.figures import median, percentile
from benchmarks.service.load import Outcome
from benchmarks.service.systems import ROOT, Recipe, System, recipes, wait_ready

BARE = "upstream"
CONNECTIONS = 64
# What a system that cannot keep up gets until its streams count as failed.
STREAM_LIMIT = 45.0
FREED_LIMIT = 15.0
MILLI = 1000.0


@dataclass
class Bench:
    """One run: what runs, how long it may take, and what has come out."""

    upstream: System
    recipes: Sequence[Recipe]
    folder: Path
    seconds: float
    flat_requests: int
    systems: list[System] = field(default_factory=list)
    record: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    notes: list[str] = field(default_factory=list)

    def note(self, figure: str, system: str, value: float) -> None:
        """Keep one sample of `figure`."""
        self.record[figure][system].append(value)

    def figures(self) -> dict[str, dict[str, float]]:
        """Return the median of the samples of each figure, by system."""
        return {
            figure: {system: median(values) for system, values in by_system.items()}
            for figure, by_system in self.record.items()
        }

    def complain(self, system: str, errors: Sequence[str]) -> None:
        """Keep the first of `errors`, for the report."""
        if errors:
            first = " ".join(errors[0].split())[:160]
            self.notes.append(f"{system}: {len(errors)} failed, the first with: {first}")

    async def behave(self, **behaviour: float) -> None:
        """Tell the upstream how to answer."""
        await load.call(self.upstream.port, "POST", "/behaviour", behaviour)

    async def open_streams(self) -> int:
        """Return how many streams the upstream has under way."""
        _, state = await load.call(self.upstream.port, "GET", "/state")
        return int(state["open"])


async def warm_up(bench: Bench) -> None:
    """Let every system answer some chats, as they import and connect at the first ones."""
    await bench.behave(tokens=8)
    for system in bench.systems:
        for stream in (False, True):
            samples = await load.closed_loop(system.port, system.key, 8, seconds=0.5, stream=stream)
            bench.complain(f"{system.name}, warming up", samples.errors)


async def idle(bench: Bench) -> None:
    """Measure the memory of each system before its first chat."""
    for system in bench.systems:
        bench.note("PSS idle, MB", system.name, processes.pss_mb(system.pid))


async def ready(bench: Bench) -> None:
    """Start each system where there is no network but a loopback, and wait until it is ready."""
    await asyncio.sleep(0)
    for recipe in bench.recipes:
        if seconds := _offline(bench, recipe.name):
            bench.note("ready without a network, s", recipe.name, seconds)


def _offline(bench: Bench, name: str) -> float:
    helper = [sys.executable, "-m", "benchmarks.service.offline", name, str(bench.folder)]
    for unshare in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        # S603: the command is fixed.
        done = subprocess.run(  # noqa: S603
            [*unshare, *helper], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return float(done.stdout)
    bench.notes.append(f"{name} did not start without a network: {done.stderr.strip()[-300:]}")
    return 0.0


async def latency(bench: Bench) -> None:
    """One connection, one request after the other."""
    await bench.behave()
    bare = 0.0
    for system in (bench.upstream, *bench.systems):
        samples = await load.closed_loop(system.port, system.key, 1, seconds=bench.seconds / 2)
        bench.complain(f"{system.name}, one connection", samples.errors)
        p50 = MILLI * median([outcome.total for outcome in samples.good])
        bare = p50 if system is bench.upstream else bare
        bench.note("p50 at one connection, ms", system.name, p50)
        if system is not bench.upstream:
            bench.note("added p50 at one connection, ms", system.name, p50 - bare)


async def requests(bench: Bench) -> None:
    """Small whole answers as fast as they come, on 64 connections."""
    await bench.behave()
    for system in (bench.upstream, *bench.systems):
        await load.closed_loop(system.port, system.key, CONNECTIONS, seconds=0.3)
        used = processes.cpu_seconds(system.pid)
        samples = await load.closed_loop(
            system.port, system.key, CONNECTIONS, seconds=bench.seconds
        )
        used = processes.cpu_seconds(system.pid) - used
        bench.complain(f"{system.name}, 64 connections", samples.errors)
        bench.note("requests per CPU-second", system.name, len(samples.good) / used)
        bench.note("requests per second", system.name, len(samples.good) / samples.seconds)


async def streams_500(bench: Bench) -> None:
    """500 streams of 20 tokens a second."""
    await _streams(bench, bench.systems, 500, rate=20, ramp=2.5, length=6)


async def streams_2000(bench: Bench) -> None:
    """2,000 streams of 5 tokens a second."""
    ours = [system for system in bench.systems if system.name.startswith("service")]
    await _streams(bench, ours, 2000, rate=5, ramp=4, length=8)


async def _streams(
    bench: Bench, systems: Sequence[System], count: int, *, rate: int, ramp: float, length: float
) -> None:
    """Measure streams of `rate` tokens a second for `length` seconds, begun over `ramp` seconds."""
    tokens = int(rate * length)
    await bench.behave(tokens=tokens, gap=1 / rate)
    ideal = (tokens - 1) / rate
    title = f"{count:,} x {rate}/s"
    bare: list[float] = [0.0, 0.0]
    for system in (bench.upstream, *systems):
        memory: list[float] = []

        def look(system: System = system, memory: list[float] = memory) -> None:
            memory.append(processes.pss_mb(system.pid))

        used = processes.cpu_seconds(system.pid)
        samples = await load.streams(
            system.port, system.key, count, ramp=ramp, limit=length + STREAM_LIMIT, when_open=look
        )
        used = processes.cpu_seconds(system.pid) - used
        good = samples.good
        bench.complain(f"{system.name}, {title}", samples.errors)
        firsts = [outcome.first for outcome in good]
        ttft = [MILLI * percentile(firsts, share) for share in (0.5, 0.99)]
        bench.note(f"{title}: failed", system.name, len(samples.errors))
        bench.note(f"{title}: tokens per CPU-second", system.name, _tokens(good) / used)
        if system is bench.upstream:
            bare = ttft
            continue
        bench.note(f"{title}: added TTFT p50, ms", system.name, ttft[0] - bare[0])
        bench.note(f"{title}: added TTFT p99, ms", system.name, ttft[1] - bare[1])
        total = median([outcome.total for outcome in good])
        bench.note(f"{title}: total p50 over ideal, %", system.name, 100 * (total / ideal - 1))
        bench.note(f"{title}: PSS, MB", system.name, median(memory))


def _tokens(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.tokens for outcome in outcomes)


async def disconnect(bench: Bench) -> None:
    """Clients hang up: in mid-stream, and before the first token."""
    for title, behaviour in (
        ("in mid-stream", {"tokens": 100_000, "gap": 0.05}),
        ("before the first token", {"tokens": 10, "gap": 0.05, "first": 25.0}),
    ):
        for system in bench.systems:
            await bench.behave(**behaviour)
            seconds = await _freed(bench, system)
            bench.note(f"hang-up {title}: upstream free after, s", system.name, seconds)


async def _freed(bench: Bench, system: System) -> float:
    loop = asyncio.get_running_loop()
    clock = time.perf_counter
    data = load.request(system.port, system.key, stream=True)
    made = [
        await loop.create_connection(lambda: load.Stream(data, clock()), "127.0.0.1", system.port)
        for _ in range(20)
    ]
    await asyncio.sleep(1.5)
    gone = clock()
    for _, protocol in made:
        protocol.close()
    while await bench.open_streams() and clock() - gone < FREED_LIMIT:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    seconds = clock() - gone
    while await bench.open_streams() and clock() - gone < 2 * FREED_LIMIT:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return seconds


async def sigterm(bench: Bench) -> None:
    """Tell a system to stop while it streams; it must finish, and be ready for nothing else."""
    length = 4.0
    names = {recipe.name for recipe in bench.recipes}
    # On ports of their own: the others may be up.
    for recipe in recipes(bench.upstream.port):
        if recipe.name not in names:
            continue
        system = recipe.start(bench.folder / "sigterm")
        try:
            await wait_ready(system, recipe.ready)
            await bench.behave(tokens=int(20 * length), gap=0.05)
            streaming = asyncio.create_task(
                load.streams(system.port, system.key, 20, ramp=0.1, limit=length + STREAM_LIMIT)
            )
            await asyncio.sleep(1.5)
            assert system.process  # noqa: S101 (a recipe starts one)
            system.process.send_signal(signal.SIGTERM)
            unready = await _unready(system, recipe.ready)
            samples = await streaming
            bench.complain(f"{system.name}, SIGTERM", samples.errors)
            bench.note("SIGTERM: streams that broke, of 20", system.name, len(samples.errors))
            bench.note("SIGTERM: not ready after, s", system.name, unready)
        finally:
            system.stop()


async def _unready(system: System, path: str) -> float:
    start = time.monotonic()
    while time.monotonic() - start < STREAM_LIMIT:
        with contextlib.suppress(TimeoutError):
            try:
                status, _ = await load.call(system.port, "GET", path)
            except OSError:
                break
            if status != 200:  # noqa: PLR2004
                break
        await asyncio.sleep(0.01)
    return time.monotonic() - start


async def flat(bench: Bench) -> None:
    """Many requests, a quarter of them streams: memory after a warm-up, and how it goes on."""
    await bench.behave(tokens=8)
    parts = 11
    size = bench.flat_requests // (parts - 1)
    for system in bench.systems:
        if not system.name.startswith("service"):
            continue
        memory = []
        for _ in range(parts):
            for count, stream in ((size * 3 // 4, False), (size // 4, True)):
                samples = await load.closed_loop(
                    system.port, system.key, CONNECTIONS, seconds=0, count=count, stream=stream
                )
                bench.complain(f"{system.name}, flatness", samples.errors)
            memory.append(processes.pss_mb(system.pid))
        title = f"{bench.flat_requests:,} requests"
        bench.note(f"{title}: PSS before, MB", system.name, memory[0])
        bench.note(f"{title}: PSS grown by, MB", system.name, memory[-1] - memory[0])
        bench.note(f"{title}: PSS range, MB", system.name, max(memory) - min(memory))


SCENARIOS: Mapping[str, Callable[[Bench], Awaitable[None]]] = {
    "ready": ready,
    "idle": idle,
    "latency": latency,
    "requests": requests,
    "streams-500": streams_500,
    "streams-2000": streams_2000,
    "disconnect": disconnect,
    "sigterm": sigterm,
    "flat": flat,
}
# Measured as often as asked for; the others once.
REPEATED = ("latency", "requests", "streams-500", "streams-2000")
# Too long for every run.
LONG = ("flat",)


def as_json(bench: Bench, about: Mapping[str, Any]) -> str:
    """Return all samples."""
    samples = {name: dict(by_system) for name, by_system in bench.record.items()}
    return json.dumps({**about, "samples": samples, "notes": bench.notes}, indent=2) + "\n"
