"""Exit with 0 if the server on this machine answers, for the engine's health check."""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT = 4


def main() -> int:
    """Return 0 if the server is healthy and 1 if not."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PORT", "8080")), timeout=TIMEOUT
    )
    try:
        connection.request("GET", "/health")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
