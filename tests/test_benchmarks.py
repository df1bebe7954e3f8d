"""What the benchmarks make of what they see."""

from __future__ import annotations

import math

import pytest

from benchmarks.service import figures, limits, processes
from benchmarks.service.load import Answers

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7], 0.5, 7),
        ([3, 1, 2], 0.5, 2),
        ([4, 3, 2, 1], 0.5, 2),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1, 100),
        (range(1, 101), 0, 1),
    ],
)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    assert figures.percentile(values, share) == expected


def test_median_and_nothing() -> None:
    assert figures.median([3, 1, 2]) == 2
    assert figures.median([4, 1, 2, 3]) == 2.5
    assert math.isnan(figures.median([]))
    assert math.isnan(figures.percentile([], 0.5))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (math.nan, "-"), (0, "0.00"), (12.34, "12.3"), (-150.2, "-150"), (9885, "9,885")],
)
def test_figures_in_a_table(value: float | None, text: str) -> None:
    assert figures.plain(value) == text


def test_ratio() -> None:
    assert figures.ratio(1800, 80) == "22.5x"
    assert figures.ratio(1, 0) == figures.ratio(None, 1) == figures.ratio(math.nan, 1) == "-"


def test_overview_compares_ours_with_each_peer() -> None:
    text = figures.overview({"requests": {"service openai": 100, "litellm": 10}}, ["litellm"])
    assert [cell.strip() for cell in text.splitlines()[0].split("|")[1:-1]] == [
        "figure",
        "service openai",
        "litellm",
        "service openai / litellm",
    ]
    assert text.splitlines()[2].endswith("10.0x |")


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_answers_in_pieces(answer: bytes, size: int) -> None:
    answers = Answers()
    data = answer * 3
    whole = [a for at in range(0, len(data), size) for a in answers.take(data[at : at + size])]
    assert whole == [answer] * 3


def test_a_stat_file_whose_name_has_spaces_and_parentheses() -> None:
    text = "7 (a) b (c) S 42" + 9 * " 0" + " 100 50 20 30 20 0 1 0"
    parent, seconds = processes.parse_stat(text)
    assert parent == 42
    assert seconds == 200 / processes.TICKS


def test_a_smaps_rollup_file() -> None:
    text = "00400000-7ff000 ---p 0 00:00 0 [rollup]\nRss: 4096 kB\nPss:  2048 kB\nPss_Dirty: 8 kB\n"
    assert processes.parse_pss(text) == 2.0
    assert processes.parse_pss("") == 0.0


def test_a_figure_that_is_not_what_it_has_to_be_is_named() -> None:
    measured = {
        limits.REQUESTS: {limits.OPENAI: 300, "g4f api": 100, "litellm": 10},
        "PSS idle, MB": {limits.OPENAI: 90, limits.G4F: 111},
    }
    assert limits.problems(measured) == [
        "requests per CPU-second, service openai: 3, "
        "which must be at least 3.75 times that of g4f api",
        "PSS idle, MB, service g4f: 111, which must be at most 110",
    ]


def test_what_was_not_measured_is_not_judged() -> None:
    assert limits.problems({limits.REQUESTS: {limits.OPENAI: 1}}) == []
    assert limits.problems({limits.REQUESTS: {limits.OPENAI: 1, "litellm": 0.0}}) == []
