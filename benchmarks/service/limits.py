"""What the figures have to be.

Speed depends on the machine, so it is a multiple of what a peer does in the same run. The multiples
come from one machine, on which `g4f api` answered 400 requests and relayed 957 tokens per
CPU-second, and LiteLLM answered 74. Times are judged as they are: a machine on which they are
longer is too slow for so many streams on one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Figures = Mapping[str, Mapping[str, float]]
"""The figures by name and by system."""

OPENAI, G4F = "service openai", "service g4f"


@dataclass(frozen=True)
class Limit:
    """What a figure of a system has to be: so much, or so many times that of a peer."""

    figure: str
    system: str
    most: float = math.inf
    least: float = -math.inf
    peer: str = ""

    def problem(self, figures: Figures) -> str | None:
        """Return what is wrong, if that was measured and is."""
        by_system = figures.get(self.figure, {})
        value = by_system.get(self.system)
        unit = by_system.get(self.peer) if self.peer else 1.0
        # A peer that did nothing is no measure.
        if value is None or not unit:
            return None
        if self.least <= value / unit <= self.most:
            return None
        bound = f"at least {self.least:g}" if self.most == math.inf else f"at most {self.most:g}"
        times = f" times that of {self.peer}" if self.peer else ""
        return f"{self.figure}, {self.system}: {value / unit:.3g}, which must be {bound}{times}"


def _of_each(figure: str, most: float) -> list[Limit]:
    return [Limit(figure, system, most=most) for system in (OPENAI, G4F)]


REQUESTS = "requests per CPU-second"
STREAMS_500, STREAMS_2000 = "500 x 20/s", "2,000 x 5/s"

LIMITS: Sequence[Limit] = (
    # 1,500 and 1,000 requests, and 6,000 tokens, where the peers did what is said above.
    Limit(REQUESTS, OPENAI, least=20, peer="litellm"),
    Limit(REQUESTS, OPENAI, least=3.75, peer="g4f api"),
    Limit(REQUESTS, G4F, least=2.5, peer="g4f api"),
    Limit(f"{STREAMS_500}: tokens per CPU-second", OPENAI, least=6.3, peer="g4f api"),
    Limit("added p50 at one connection, ms", OPENAI, most=1.5),
    Limit(f"{STREAMS_500}: added TTFT p50, ms", OPENAI, most=25),
    Limit(f"{STREAMS_500}: added TTFT p99, ms", OPENAI, most=250),
    Limit(f"{STREAMS_2000}: total p50 over ideal, %", OPENAI, most=8),
    *_of_each(f"{STREAMS_500}: failed", 0),
    *_of_each(f"{STREAMS_2000}: failed", 0),
    *_of_each("ready without a network, s", 4),
    *_of_each("PSS idle, MB", 110),
    *_of_each(f"{STREAMS_500}: PSS, MB", 180),
    *_of_each(f"{STREAMS_2000}: PSS, MB", 380),
    *_of_each("hang-up in mid-stream: upstream free after, s", 1),
    *_of_each("hang-up before the first token: upstream free after, s", 1),
    *_of_each("SIGTERM: streams that broke, of 20", 0),
    *_of_each("100,000 requests: PSS range, MB", 10),
)


def problems(figures: Figures) -> list[str]:
    """Return what is not as it has to be, of what was measured."""
    return [problem for limit in LIMITS if (problem := limit.problem(figures))]
