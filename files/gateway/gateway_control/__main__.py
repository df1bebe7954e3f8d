# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the gateway's container, for the roles and for whoever looks after it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from gateway_control.configuration import Configuration
from gateway_control.figures import figures
from gateway_control.nginx import ConfigurationError
from gateway_control.steering import Rollout
from gateway_control.watch import watch

SOURCE = Path("/etc/gateway/live")
CERTIFICATES = Path("/srv/certificates")
TARGET = Path("/tmp/gateway")  # noqa: S108 - the container's own, and all that it may write to


def main() -> int:
    """Run a command and return 1 if nginx refused the configuration."""
    arguments = _parser().parse_args()
    configuration = Configuration(arguments.source, CERTIFICATES, TARGET)
    try:
        match arguments.command:
            case "install":
                configuration.install()
            case "reload":
                configuration.install()
                configuration.hand_over()
            case "watch":
                watch(configuration)
            case "steer":
                rollout = Rollout(tuple(arguments.admit), tuple(arguments.drain))
                changed = configuration.steer(arguments.host, rollout)
                print("changed" if changed else "unchanged")
            case "figures":
                print(json.dumps(figures(time.time() - arguments.seconds)))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway_control", description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="what the role has rendered")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="let nginx test the configuration and take it over")
    commands.add_parser("reload", help="install, and return once the running nginx serves it")
    commands.add_parser("watch", help="look after replicas and certificates until the end")
    steer = commands.add_parser(
        "steer", help="say which replicas a host's rollout adds and drains; none when it is over"
    )
    steer.add_argument("--host", default="", help="whose rollout it is")
    for option, purpose in (("--admit", "that get requests"), ("--drain", "that get nothing new")):
        steer.add_argument(option, nargs="*", default=[], metavar="HOST:PORT", help=purpose)
    command = commands.add_parser("figures", help="what each replica answered, as JSON")
    command.add_argument("--seconds", type=float, default=60.0, help="so many until now")
    return parser


if __name__ == "__main__":
    sys.exit(main())
