# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: `install` and `reload` a configuration, and `watch` replicas and certificates."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway_control.configuration import Configuration, ConfigurationError
from gateway_control.watch import watch

SOURCE = Path("/etc/gateway/live")
CERTIFICATES = Path("/srv/certificates")
TARGET = Path("/tmp/gateway")  # noqa: S108 - the container's own, and all that it may write to


def main() -> int:
    """Run a command and return 1 if nginx refused the configuration."""
    parser = argparse.ArgumentParser(prog="gateway_control", description=__doc__)
    parser.add_argument("command", choices=["install", "reload", "watch"])
    parser.add_argument("--source", type=Path, default=SOURCE, help="what the role has rendered")
    arguments = parser.parse_args()
    command = arguments.command
    configuration = Configuration(arguments.source, CERTIFICATES, TARGET)
    try:
        if command == "watch":
            watch(configuration)
        else:
            configuration.install()
        if command == "reload":
            configuration.reload()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
