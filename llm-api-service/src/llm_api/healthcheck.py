"""Exit with 0 if the replica in this container can answer, for the engine's health check.

With paths as arguments each of them has to be answered instead, for whoever is about to send it
requests.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Sequence

TIMEOUT = 4

READY = ("/health/ready",)

# Who asks without a token, in private mode, gets an answer, too.
ANSWERS = {http.client.OK, http.client.UNAUTHORIZED}


def main(paths: Sequence[str]) -> int:
    """Return 0 if the service answers all of `paths` and 1 if not."""
    return 0 if all(_answers(path) for path in paths or READY) else 1


def _answers(path: str) -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PORT", "5500")), timeout=TIMEOUT
    )
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"{path}: {error or type(error).__name__}", file=sys.stderr)
        return False
    finally:
        connection.close()
    if status not in ANSWERS:
        print(f"{path}: status {status}", file=sys.stderr)
    return status in ANSWERS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
