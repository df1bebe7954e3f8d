"""Exit with 0 if the replica in this container can answer, for the engine's health check."""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT = 4


def main() -> int:
    """Return 0 if the service is ready and 1 if not."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PORT", "5500")), timeout=TIMEOUT
    )
    try:
        connection.request("GET", "/health/ready")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
