"""What a process and its descendants use, from /proc."""

from __future__ import annotations

import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss: +(\d+) kB", re.MULTILINE)


def parse_stat(text: str) -> tuple[int, float]:
    """Return the parent's id and the CPU seconds in a stat file, with those of ended children."""
    # The name, in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def parse_pss(text: str) -> float:
    """Return the proportional set size in MB that a smaps_rollup file gives."""
    found = _PSS.search(text)
    return int(found[1]) / 1024 if found else 0.0


def tree(root: int) -> dict[int, float]:
    """Return the CPU seconds of `root` and of each process below it that runs, by id."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(folder.name)
        parents[pid], seconds[pid] = parse_stat(text)
    found = {root} & set(parents)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: seconds[pid] for pid in found}


def cpu_seconds(root: int) -> float:
    """Return the CPU seconds that `root` and the processes below it have used."""
    return sum(tree(root).values())


def pss_mb(root: int) -> float:
    """Return the memory of `root` and the processes below it, with what they share counted once."""
    total = 0.0
    for pid in tree(root):
        try:
            total += parse_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
        except OSError:
            continue
    return total
