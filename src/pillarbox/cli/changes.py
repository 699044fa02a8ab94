"""what an add or set verb was told: fields named, lists that grow and shrink, and what differs after"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option
from pillarbox.cli.output import clean
from pillarbox.policy.authority import parse_pattern

_SENDERS: Final = "Who may be the author"

ABOUT_MODE: Final = {
    "off": "it takes no mail",
    "sandbox": "mail is kept here, nothing is sent out",
    "hold": "mail waits until somebody releases it",
    "live": "mail is sent out",
}
MODE_COLOURS: Final = {"live": "green", "sandbox": "blue", "hold": "violet", "off": "red"}
MODES: Final = click.Choice(list(ABOUT_MODE))
UNCERTAIN: Final = click.Choice(["retry", "hold"])
KINDS: Final = click.Choice(["program", "relay"])
_BY_ITSELF: Final = frozenset(
    {"modified_at", "used_at", "last_use", "former", "flags", "summary", "note"}
)
"""What follows from other things, or changes without anybody's doing."""

ABOUT_UNCERTAIN: Final = (
    "After a line lost behind the final dot: retry (default, may deliver twice) or hold."
)
ABOUT_KIND: Final = "program (default), or relay: an MTA that passes on other people's mail."


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was said; what was left out stays as it is."""
    return {name: value for name, value in values.items() if value is not None}


def sender_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a list of allowed senders."""
    for option in reversed(
        (
            click.option(
                "--allow-from",
                cls=Option,
                section=_SENDERS,
                metavar="PATTERN",
                multiple=True,
                help="Allow an author: a@example.com, *@example.com or *.example.com. Repeatable.",
            ),
            click.option(
                "--disallow-from",
                cls=Option,
                section=_SENDERS,
                metavar="PATTERN",
                multiple=True,
                help="Take a pattern out of the list again. Repeatable.",
            ),
            click.option(
                "--allow-any",
                cls=Option,
                section=_SENDERS,
                is_flag=True,
                help="Empty the list, so that any author is allowed.",
            ),
        )
    ):
        function = option(function)
    return function


def take_senders(values: dict[str, Any], current: Sequence[str] = ()) -> dict[str, Any]:
    """Turn the sender options among `values` into the list that follows from `current`.

    Raises `InvalidPattern`, and `WrongUsage` for one to be taken out that is not there.
    """
    added, removed = (
        [parse_pattern(each) for each in values.pop(name)]
        for name in ("allow_from", "disallow_from")
    )
    emptied = values.pop("allow_any")
    kept = [] if emptied else [each for each in current if each not in removed]
    missing = [each for each in removed if each not in current]
    if missing:
        there = ", ".join(current) or "empty"
        raise WrongUsage(f"{clean(missing[0])} is not in the list: {clean(there)}")
    following = list(dict.fromkeys([*kept, *added]))
    if added or removed or emptied:
        values["allowed_senders"] = following
    return values


def describe(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What differs, in words: ``mode sandbox -> live, label "Shop"``."""
    differing = [name for name in after if name in before and before[name] != after[name]]
    told = [
        f"{name.replace('_', ' ')} {_shown(before[name])} -> {_shown(after[name])}"
        for name in differing
        if name not in _BY_ITSELF
    ]
    return clean(", ".join(told))


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None | str() | list() | dict() if not value:
            return "none"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name}={each}" for name, each in value.items())
        case _:
            return str(value)
