"""Free-GPT4-WEB-API's command line and variables, as the variables that `config` reads."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm_api.config import TRUE

# The old variables: each stands in for the new one where that has no value.
OLD_NAMES: Mapping[str, str] = {"DEFAULT_MODEL": "MODEL", "DEFAULT_PROVIDER": "PROVIDER"}
PASSWORD, PASSWORD_FILE = "ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE"

# Flag -> the variable, what stands for the value, and what it is.
VALUES: Mapping[str, tuple[str, str, str]] = {
    "--port": ("PORT", "N", "where to listen"),
    "--provider": ("PROVIDER", "P", "whom to ask: Auto, or names separated by commas"),
    "--model": ("MODEL", "M", "for requests that name none"),
    "--system-prompt": ("SYSTEM_PROMPT", "S", "put before conversations that bring none"),
    "--keyword": ("KEYWORD", "K", "the parameter that has the question"),
    "--cookie-file": ("COOKIES_FILE", "F", "cookies for g4f's providers, as JSON"),
    "--password": (PASSWORD, "X", f"the settings page's first one; better: {PASSWORD_FILE}"),
}
# Flag -> the variable, and what it switches on.
SWITCHES: Mapping[str, tuple[str, str]] = {
    "--private-mode": ("PRIVATE_MODE", "answer only callers with a token"),
    "--remove-sources": ("REMOVE_SOURCES", "remove source marks from answers"),
    "--file-input": ("FILE_INPUT", "take files along with questions"),
    "--enable-history": ("MESSAGE_HISTORY", "remember what each token has asked"),
    "--enable-virtual-users": ("VIRTUAL_USERS", "let tokens have settings of their own"),
}
# Flag -> what is so without it.
NEEDLESS: Mapping[str, str] = {
    "--enable-gui": "the settings page is on whenever there is a password",
    "--enable-fast-api": "OpenAI's interface is always on, at /v1 of the same port",
    "--enable-proxies": "proxies are used whenever the setting has some",
}


@dataclass(frozen=True)
class CommandLine:
    """What the command line says."""

    environ: Mapping[str, str] = field(repr=False)
    """The environment with what the flags set, which wins."""
    needless: tuple[str, ...]
    """Flags that are not needed any more."""
    shows_password: bool
    """Whether a password can be seen by everybody who can list this host's processes."""

    @property
    def remarks(self) -> list[str]:
        """What there is to say about that."""
        return [f"{flag} is not needed: {NEEDLESS[flag]}" for flag in self.needless]

    def hide_password(self) -> None:
        """Begin anew, with the password in the environment, which only this user can see."""
        interpreter = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
        os.execve(sys.executable, [*interpreter, *self.needless], self.environ)  # noqa: S606 (itself)


def read(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> CommandLine:
    """Return what `arguments` and the old variables in `environ` say.

    Raises:
        SystemExit: an argument is unknown, or asks for help.
    """
    given = vars(_parser().parse_args(arguments))
    variables = dict(environ)
    for old, new in OLD_NAMES.items():
        if environ.get(old) and not environ.get(new):
            variables[new] = environ[old]
    # Whatever else it says is about other programs.
    if environ.get("DEBUG", "").lower() in TRUE and not environ.get("LOG_LEVEL"):
        variables["LOG_LEVEL"] = "DEBUG"
    for flag, (variable, *_) in {**VALUES, **SWITCHES}.items():
        value = given[_key(flag)]
        if value is not None:
            variables[variable] = value if isinstance(value, str) else str(value).lower()
    shows_password = given["password"] is not None
    if shows_password:
        variables.pop(PASSWORD_FILE, None)
    needless = tuple(flag for flag in NEEDLESS if given[_key(flag)])
    return CommandLine(variables, needless, shows_password)


def _key(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m llm_api",
        description="Run the service. Each flag stands for a variable of the environment, which it "
        "wins over; there are more of those.",
    )
    for flag, (variable, shown, about) in VALUES.items():
        parser.add_argument(flag, metavar=shown, help=f"{about} ({variable})")
    for flag, (variable, about) in SWITCHES.items():
        parser.add_argument(
            flag, action=argparse.BooleanOptionalAction, help=f"{about} ({variable})"
        )
    for flag, why in NEEDLESS.items():
        parser.add_argument(flag, action="store_true", help=f"not needed: {why}")
    return parser
