"""what can be said about a server at the terminal"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from pillarbox.cli.changes import named, sender_options, take_senders
from pillarbox.cli.group import Option, WholeNumber

LOGIN: Final = "Login at the server"
_LINE: Final = "Connection"
_SENDER: Final = "Sender"
_LIMITS: Final = "Limits of the service"
_HIGHEST: Final = 1_000_000

of_app = click.option(
    "--app", metavar="NAME", help="Its app, where several have a server of this name."
)


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Everything that can be said about one, whether it is new or not."""
    for option in reversed(
        (
            _whole("--priority", 0, _HIGHEST, "0 is tried first. Default: 10."),
            _whole("--weight", 0, _HIGHEST, "Share among those of equal priority. Default: 1."),
            _text("--host", "HOST", "Its name or address.", _LINE),
            click.option(
                "--port", type=WholeNumber(1, 65535), metavar="PORT", cls=Option, section=_LINE,
                help="Default: 587; with tls 465, with none 25.",
            ),
            click.option(
                "--encryption", type=click.Choice(["starttls", "tls", "none"]), metavar="HOW",
                cls=Option, section=_LINE,
                help="Protection of the connection: starttls (default), tls or none.",
            ),
            click.option(
                "--verify/--no-verify", default=None, cls=Option, section=_LINE,
                help="Whether its certificate must be valid. Default: yes.",
            ),
            _text("--ca-file", "FILE", "Authority its certificate is from.", _LINE),
            _text("--pin", "SHA256", "The only public key it may have; empty for any.", _LINE),
            _text("--hello-name", "NAME", "Said in EHLO; empty for this machine's name.", _LINE),
            _text("--local-address", "ADDRESS", "Where we connect from; empty for any.", _LINE),
            _text("--username", "NAME", "User name there.", LOGIN),
            _text(
                "--password-file", "FILE",
                "File with the password; - reads it from standard input.", LOGIN,
            ),
            click.option(
                "--auth/--no-auth", default=None, cls=Option, section=LOGIN,
                help="Whether to log in where there is a user name. Default: yes.",
            ),
            _text(
                "--from-address", "ADDRESS",
                "Author where this server does not take the message's own.", _SENDER,
            ),
            _text("--from-name", "NAME", "The name beside it.", _SENDER),
            click.option(
                "--sender-rule", type=click.Choice(["refused", "always"]), metavar="WHEN",
                cls=Option, section=_SENDER,
                help="When that author stands in: refused (default) or always.",
            ),
            _whole("--max-connections", 1, 1000, "At once. Default: 20.", _LIMITS),
            click.option(
                "--max-per-second", type=click.FloatRange(0, _HIGHEST), metavar="N",
                cls=Option, section=_LIMITS,
                help="Recipients; 0.5 is one in two seconds. 0: no limit, here and below.",
            ),
            _whole("--max-per-minute", 0, 10**9, "Recipients.", _LIMITS),
            _whole("--max-per-day", 0, 10**9, "Recipients.", _LIMITS),
        )
    ):  # fmt: skip
        function = option(function)
    return sender_options(function)


def said_of(values: dict[str, Any], current: Sequence[str] = ()) -> dict[str, Any]:
    """What was said, as fields of the API; `current` are the senders that are allowed now.

    Raises `InvalidPattern`, `WrongUsage`.
    """
    return named(take_senders(values, current))


def place_of(found: dict[str, Any]) -> str:
    """Where a server is reached, in a few words."""
    return (
        "recipients' servers" if found["kind"] == "direct" else f"{found['host']}:{found['port']}"
    )


def protection_of(found: dict[str, Any]) -> str:
    """How its connection is protected; what is not checked is said aloud."""
    if found["kind"] == "direct":
        return "by recipient"
    unchecked = found["encryption"] != "none" and not found["verify"] and not found["pin"]
    return f"{found['encryption']}, NOT CHECKED" if unchecked else str(found["encryption"])


def limits_of(found: dict[str, Any]) -> str:
    """The limits of its service in one line; empty where it has none."""
    periods = ("second", "minute", "day")
    said = [(found[f"max_per_{period}"], period) for period in periods]
    return ", ".join(f"{count:g} a {period}" for count, period in said if count)


def _text(name: str, metavar: str, about: str, section: str) -> Callable[..., Any]:
    return click.option(name, metavar=metavar, help=about, cls=Option, section=section)


def _whole(
    name: str, low: int, high: int, about: str, section: str = "Options"
) -> Callable[..., Any]:
    return click.option(
        name, type=WholeNumber(low, high), metavar="N", help=about, cls=Option, section=section
    )
