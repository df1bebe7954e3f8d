# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells people and machines how a run went."""

from __future__ import annotations

import json
import logging
import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.request import Request, urlopen

TIMEOUT = 20.0

_HEAD = """\
# HELP freegpt4_certificate_not_after_seconds When the certificate expires, in seconds since 1970.
# TYPE freegpt4_certificate_not_after_seconds gauge
{ends}\
# HELP freegpt4_certificate_renewal_ok Whether the last run left it deployed and served.
# TYPE freegpt4_certificate_renewal_ok gauge
{successes}\
# HELP freegpt4_certificate_renewal_run_seconds When the last run ended, in seconds since 1970.
# TYPE freegpt4_certificate_renewal_run_seconds gauge
freegpt4_certificate_renewal_run_seconds {time}
"""


@dataclass(frozen=True)
class Outcome:
    """How it went with one certificate.

    Attributes:
        name: the certificate.
        done: what was done, or nothing.
        failure: what went wrong, or nothing.
        end: when what is deployed expires.
    """

    name: str
    done: str
    failure: str
    end: datetime | None


def write_metrics(path: Path, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write `path` for node_exporter's textfile collector, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    known = _kept(path, {outcome.name for outcome in outcomes})
    ends = [f'{{name="{o.name}"}} {int(o.end.timestamp())}' for o in outcomes if o.end]
    successes = [f'{{name="{o.name}"}} {int(not o.failure)}' for o in outcomes]
    text = _HEAD.format(
        ends=_lines("freegpt4_certificate_not_after_seconds", ends, known),
        successes=_lines("freegpt4_certificate_renewal_ok", successes, known),
        time=int(now.timestamp()),
    )
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def _lines(metric: str, values: Sequence[str], known: Sequence[str]) -> str:
    kept = [line for line in known if line.startswith(f"{metric}{{")]
    return "".join(f"{line}\n" for line in sorted([*kept, *(metric + value for value in values)]))


def _kept(path: Path, but: set[str]) -> list[str]:
    """Return the lines of `path` on other certificates, which this run was not about."""
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if '{name="' in line]
    return [line for line in lines if line.partition('"')[2].partition('"')[0] not in but]


def forget(path: Path, name: str) -> None:
    """Remove from `path` what it says about the certificate `name`."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if f'{{name="{name}"}}' not in line))


def notify(settings: Mapping[str, str], host: str, outcomes: Sequence[Outcome]) -> None:
    """Tell those who want to know what has failed.

    Args:
        settings: `webhook`, a URL that gets it as JSON, and `mail_to`, `mail_from` and
            `mail_server` (`host:port`), each of which may be empty.
        host: where it happened.
        outcomes: of this run.
    """
    failures = {outcome.name: outcome.failure for outcome in outcomes if outcome.failure}
    if not failures:
        return
    text = "\n".join(f"{name}: {failure}" for name, failure in failures.items())
    for kind, tell in (("webhook", _post), ("mail_to", _mail)):
        if settings[kind]:
            try:
                tell(settings, host, text)
            except (OSError, smtplib.SMTPException):
                # What has failed stands in the log anyway.
                logging.exception("nobody was told by %s", kind)


def _post(settings: Mapping[str, str], host: str, text: str) -> None:
    # Many chats show what is called `text`.
    body = json.dumps({"text": f"Certificates on {host}:\n{text}", "host": host}).encode()
    headers = {"Content-Type": "application/json"}
    # S310: the URL is the operator's.
    urlopen(Request(settings["webhook"], body, headers), timeout=TIMEOUT).close()  # noqa: S310


def _mail(settings: Mapping[str, str], host: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"] = f"Certificates on {host}: a renewal failed"
    message["From"] = settings["mail_from"]
    message["To"] = settings["mail_to"]
    message.set_content(f"{text}\n\nThe certificates of before are still served.\n")
    server, _, port = settings["mail_server"].partition(":")
    with smtplib.SMTP(server, int(port or 25), timeout=TIMEOUT) as connection:
        connection.send_message(message)
