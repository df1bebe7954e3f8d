# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas the rollouts add to those of the role, and which they have take nothing new.

It is forgotten when the gateway starts anew. A rollout that goes on says it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Rollout:
    """What the rollout of a host wants of the gateway, as a whole: its last word counts.

    Attributes:
        admitted: replicas that get requests although the role does not name them, as `host:port`.
        drained: replicas that finish what they have and get nothing new, as `host:port`.
    """

    admitted: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()


@dataclass(frozen=True)
class Steering:
    """What all rollouts want of the gateway.

    Attributes:
        rollouts: that of each host that wants anything, by its name.
    """

    rollouts: Mapping[str, Rollout] = field(default_factory=dict)

    @property
    def admitted(self) -> tuple[str, ...]:
        """The replicas that get requests besides those of the role."""
        return tuple(server for of in self.rollouts.values() for server in of.admitted)

    @property
    def drained(self) -> tuple[str, ...]:
        """The replicas that get nothing new."""
        return tuple(server for of in self.rollouts.values() for server in of.drained)

    def having(self, host: str, rollout: Rollout) -> Steering:
        """Return the same, but that `host` wants `rollout` now.

        What was wanted without a name is of the time when there was one host, and over.
        """
        others = {name: of for name, of in self.rollouts.items() if name not in ("", host)}
        return Steering(others if rollout == Rollout() else {**others, host: rollout})

    @classmethod
    def read(cls, path: Path) -> Steering:
        """Read what was written to `path`; without such a file nothing is wanted."""
        if not path.exists():
            return cls()
        recorded = json.loads(path.read_text())
        return cls(
            {
                host: Rollout(tuple(of["admitted"]), tuple(of["drained"]))
                for host, of in recorded.items()
            }
        )

    def write(self, path: Path) -> None:
        """Write it to `path`, at once or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps({host: asdict(of) for host, of in self.rollouts.items()}))
        new.replace(path)

    def servers(self) -> str:
        """Return the lines that add the admitted replicas to an upstream."""
        return "".join(f"server {server};\n" for server in self.admitted)
