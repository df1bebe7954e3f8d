#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send streamed chats to a cluster, first one after the other and then at once, and count failures.

A chat has succeeded when its stream carried a finish_reason and ended with `[DONE]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

import httpx

# The embedded one: nothing leaves the cluster.
MODEL = "smollm2-135m"
TIMEOUT = httpx.Timeout(300, connect=10)


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat: seconds to its first token and to its end, and what failed, if anything."""

    first: float
    total: float
    failure: str | None = None


async def chat(client: httpx.AsyncClient, max_tokens: int) -> Chat:
    """Stream one chat through `client`."""
    start = time.monotonic()
    first = 0.0
    finished = done = False
    body = {
        "stream": True,
        "model": MODEL,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": "Count from one to ten."}],
    }
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                return Chat(0, time.monotonic() - start, f"status {response.status_code}")
            async for line in response.aiter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    first = first or time.monotonic() - start
                    choices = json.loads(line.removeprefix("data: ")).get("choices", [])
                    finished = finished or any(choice["finish_reason"] for choice in choices)
    except httpx.HTTPError as error:
        return Chat(first, time.monotonic() - start, type(error).__name__)
    failure = None if finished and done else "the stream broke off"
    return Chat(first, time.monotonic() - start, failure)


def report(name: str, chats: list[Chat], seconds: float) -> int:
    """Print one line on `chats`, which took `seconds` together, and return how many failed."""
    failures = Counter(chat.failure for chat in chats if chat.failure)
    first = sorted(chat.first for chat in chats if not chat.failure) or [0.0]
    print(
        f"{name}: {len(chats)} chats in {seconds:.1f} s, {failures.total()} failed"
        f"; first token {statistics.median(first):.3f} s (median), {first[-1]:.3f} s (slowest)"
    )
    for failure, count in failures.items():
        print(f"  {count} x {failure}")
    return failures.total()


async def run(url: str, sequential: int, concurrent: int, max_tokens: int) -> int:
    """Run both parts against `url` and return how many chats failed."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as client:
        start = time.monotonic()
        one_by_one = [await chat(client, max_tokens) for _ in range(sequential)]
        failed = report("sequential", one_by_one, time.monotonic() - start)
        start = time.monotonic()
        at_once = await asyncio.gather(*(chat(client, max_tokens) for _ in range(concurrent)))
        return failed + report("concurrent", list(at_once), time.monotonic() - start)


def main() -> int:
    """Run the command and return 1 if a chat failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1")
    parser.add_argument("--sequential", type=int, default=1000)
    parser.add_argument("--concurrent", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=4)
    options = parser.parse_args()
    failed = asyncio.run(
        run(options.url, options.sequential, options.concurrent, options.max_tokens)
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
