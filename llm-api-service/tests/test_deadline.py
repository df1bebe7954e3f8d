"""The time by which an answer must be whole."""

from __future__ import annotations

import asyncio

import pytest

from llm_api.providers.deadline import Deadline


def test_what_is_in_time_goes_on() -> None:
    async def run() -> None:
        deadline = Deadline(asyncio.get_running_loop().time() + 0.05)
        for _ in range(3):
            with deadline:
                await asyncio.sleep(0.001)
        deadline.cancel()
        await asyncio.sleep(0.1)
        with deadline:
            await asyncio.sleep(0)

    asyncio.run(run())


def test_what_is_too_late_ends() -> None:
    async def run() -> None:
        deadline = Deadline(asyncio.get_running_loop().time() + 0.02)
        with pytest.raises(TimeoutError), deadline:
            await asyncio.sleep(60)
        # Nothing is left of it for what comes then.
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError), deadline:
            raise AssertionError("too late to begin")

    asyncio.run(run())


def test_it_does_not_end_what_is_outside_of_it() -> None:
    async def run() -> None:
        deadline = Deadline(asyncio.get_running_loop().time() + 0.02)
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError), deadline:
            pass

    asyncio.run(run())


def test_an_end_from_outside_stays_one() -> None:
    async def run() -> None:
        when = asyncio.get_running_loop().time() + 0.02
        deadline = Deadline(when)

        async def wait() -> None:
            with deadline:
                await asyncio.sleep(60)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(when, waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
