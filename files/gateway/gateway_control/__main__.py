# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: `install` and `reload` a configuration, `watch` what changes, tell `figures`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from gateway_control.configuration import Configuration, ConfigurationError
from gateway_control.figures import figures
from gateway_control.watch import watch

SOURCE = Path("/etc/gateway/live")
CERTIFICATES = Path("/srv/certificates")
TARGET = Path("/tmp/gateway")  # noqa: S108 - the container's own, and all that it may write to


def main() -> int:
    """Run a command and return 1 if nginx refused the configuration."""
    arguments = _arguments()
    command = arguments.command
    try:
        if command == "figures":
            print(json.dumps(figures(arguments.since or time.time() - arguments.seconds)))
            return 0
        configuration = Configuration(arguments.source, CERTIFICATES, TARGET)
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gateway_control", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("install", "reload", "watch"):
        command = commands.add_parser(name)
        command.add_argument(
            "--source", type=Path, default=SOURCE, help="what the role has rendered"
        )
    command = commands.add_parser("figures", help="what each replica answered, as JSON")
    span = command.add_mutually_exclusive_group()
    span.add_argument("--seconds", type=float, default=60.0, help="until now (60)")
    span.add_argument("--since", type=float, help="a time, in seconds since 1970")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
