# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the replicas of this host once, and restart one if it is due."""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from autoheal import engine, ledger
from autoheal.engine import EngineError
from autoheal.policy import Policy, Record, restarted


@dataclass(frozen=True)
class Settings:
    """What the role has written.

    Attributes:
        cluster: name of the cluster, which its containers have for a label.
        policy: when a replica is restarted.
        records: file that is remembered from one run to the next.
        counts: file with the restarts of each replica.
        log: file with a line for each of them.
        lock: is there while the cluster is deployed.
        lock_seconds: age at which that lock is somebody's who has gone.
    """

    cluster: str
    policy: Policy
    records: Path
    counts: Path
    log: Path
    lock: Path
    lock_seconds: float

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read what the role wrote to `path`."""
        values = json.loads(path.read_text())
        return cls(
            cluster=values["cluster"],
            policy=Policy(**values["policy"]),
            records=Path(values["records"]),
            counts=Path(values["counts"]),
            log=Path(values["log"]),
            lock=Path(values["lock"]),
            lock_seconds=values["lock_seconds"],
        )


def main() -> int:
    """Look once, and return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="autoheal", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="what the role has written")
    settings = Settings.read(parser.parse_args().settings)
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
        handlers=[logging.FileHandler(settings.log, delay=True)],
    )
    with settings.records.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A restart takes longer than the time to the next run.
            return 0
        try:
            look(settings, time.time())
        except EngineError as error:
            print(error, file=sys.stderr)
            logging.error(error)  # noqa: TRY400 - where it was raised tells nobody anything
            return 1
    return 0


def look(settings: Settings, now: float) -> None:
    """Look at the replicas once.

    Raises:
        EngineError: the engine does not do what it is asked for.
    """
    if is_fresh(settings.lock, settings.lock_seconds, now):
        return
    policy = settings.policy
    healths = engine.healths(settings.cluster)
    known = ledger.read_records(settings.records)
    # What does not run is forgotten: somebody has stopped it.
    records = {
        name: policy.see(known.get(name, Record()), health, now) for name, health in healths.items()
    }
    name = policy.choose(healths, records, now)
    since = records[name].unhealthy_since if name else None
    if name and since is not None:
        records[name] = restarted(records[name], now)
        # First of all: what is done over and over must not go uncounted.
        ledger.write_records(settings.records, records)
        restarts = ledger.count(settings.counts, name, now)
        pause = policy.pause(records[name].in_a_row)
        logging.info(
            "%s: restarted, unhealthy for %.0f s; restart %d, and not again within %.0f s",
            name,
            now - since,
            restarts,
            pause,
        )
        engine.restart(name)
    else:
        ledger.write_records(settings.records, records)


def is_fresh(lock: Path, seconds: float, now: float) -> bool:
    """Return whether `lock` is there and younger than `seconds`."""
    try:
        return now - lock.stat().st_mtime < seconds
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
