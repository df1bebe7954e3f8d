# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas a rollout adds to those of the role, and which it has take nothing new.

It is forgotten when the gateway starts anew. A rollout that goes on says it again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Steering:
    """What a rollout wants of the gateway, as a whole: the last word counts.

    Attributes:
        admitted: replicas that get requests although the role does not name them, as `host:port`.
        drained: replicas that finish what they have and get nothing new, as `host:port`.
    """

    admitted: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Steering:
        """Read what was written to `path`; without such a file nothing is wanted."""
        if not path.exists():
            return cls()
        recorded = json.loads(path.read_text())
        return cls(tuple(recorded["admitted"]), tuple(recorded["drained"]))

    def write(self, path: Path) -> None:
        """Write it to `path`, at once or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)

    def servers(self) -> str:
        """Return the lines that add the admitted replicas to an upstream."""
        return "".join(f"server {server};\n" for server in self.admitted)
