"""allowances: from where, how much and how long a login may be used, as it is said at the terminal"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import click

from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option
from pillarbox.cli.output import clean
from pillarbox.message.options import OPTIONS, find_option
from pillarbox.policy.credential import Once, OverLimit, PasswordStyle
from pillarbox.policy.networks import parse_network
from pillarbox.terms.clock import SystemClock, format_instant, parse_duration
from pillarbox.terms.errors import InvalidDuration

_PERIODS: Final = ("minute", "hour", "day")
_LIMIT: Final = re.compile(r"(\d{1,10})/(minute|hour|day)")
_SIZE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(KB|MB|GB)", re.IGNORECASE)
_OCTETS: Final = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_NONE: Final = "none"
_SECTION: Final = "From where, how much, how long"

password_style = click.option(
    "--password-style",
    type=click.Choice([style.value for style in PasswordStyle]),
    default=PasswordStyle.PLAIN.value,
    metavar="STYLE",
    help="plain (default): letters and digits; spaced: groups with blanks, and every blank counts.",
)


def allowance_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a login may do."""
    for option in reversed(
        (
            _several("--allow-address", "NETWORK", "Log in from 192.0.2.7 or 192.0.2.0/24 only."),
            _several("--disallow-address", "NETWORK", "Take one out of the list again."),
            _flag("--any-address", "Empty the list: log in from everywhere."),
            _several("--limit", "N/PERIOD", "At most 500/hour; minute or day too. none: no limits."),
            _one("--over-limit", "WHAT", _words(OverLimit), "What follows: defer (451), hold, reject."),
            _one("--max-message", "SIZE", None, "Largest message, as in 10MB. none: no limit."),
            _one("--expires", "WHEN", None, "Its end: 2027-01-31, 90d or an instant. never: none."),
            _several("--fix-option", "NAME", "A mail option that no header may change."),
            _several("--free-option", "NAME", "Let headers change it again."),
            _one("--forward-to", "ADDRESS", None, "Where bounces are sent on to. none: nowhere else."),
            _one("--once", "KEY", _words(Once), "What a repeat is known by: key, message-id."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def take_allowances(
    values: dict[str, Any], current: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What was said about allowances, taken out of `values`, as the fields that follow from
    `current`. Raises `WrongUsage`, `InvalidNetwork`.
    """
    before: Mapping[str, Any] = current or {}
    fields: dict[str, Any] = {}
    addresses = _following(
        [parse_network(each) for each in values.pop("allow_address")],
        [parse_network(each) for each in values.pop("disallow_address")],
        before.get("allowed_addresses", ()),
        emptied=values.pop("any_address"),
    )
    options = _following(
        [_option_name(each) for each in values.pop("fix_option")],
        [_option_name(each) for each in values.pop("free_option")],
        before.get("fixed_options", ()),
    )
    if addresses is not None:
        fields["allowed_addresses"] = addresses
    if options is not None:
        fields["fixed_options"] = options
    for text in values.pop("limit"):
        fields.update(parse_limit(text))
    for name, field, read in (
        ("over_limit", "over_limit", str),
        ("max_message", "max_message_bytes", parse_size),
        ("expires", "expires_at", parse_end),
        ("forward_to", "forward_address", _address),
        ("once", "once", str),
    ):
        said = values.pop(name)
        if said is not None:
            fields[field] = read(said)
    return fields


def parse_limit(text: str) -> dict[str, int]:
    """``500/hour`` as the field it sets, ``none`` as all of them. Raises `WrongUsage`."""
    if text == _NONE:
        return {f"per_{period}": 0 for period in _PERIODS}
    found = _LIMIT.fullmatch(text.replace(" ", ""))
    if found is None:
        raise WrongUsage(
            f"{clean(text)} is no limit",
            fix="write 500/hour, 5/minute or 1000/day; none: no limits",
        )
    return {f"per_{found[2]}": int(found[1])}


def parse_size(text: str) -> int:
    """``10MB`` in octets, ``none`` as 0. Raises `WrongUsage`."""
    if text == _NONE:
        return 0
    found = _SIZE.fullmatch(text.strip())
    octets = int(float(found[1]) * _OCTETS[found[2].upper()]) if found else 0
    if not octets:
        raise WrongUsage(f"{clean(text)} is no size", fix="write 10MB or 500KB; none: no limit")
    return octets


def parse_end(text: str, now_ms: int | None = None) -> str | None:
    """An instant to come, in RFC 3339; a day begins at midnight UTC, and ``never`` is None. Raises
    `WrongUsage`.
    """
    if text in ("never", _NONE):
        return None
    now_ms = SystemClock().now_ms() if now_ms is None else now_ms
    if "T" in text:
        return text
    try:
        instant = f"{date.fromisoformat(text).isoformat()}T00:00:00.000Z"
    except ValueError:
        try:
            instant = format_instant(now_ms + int(parse_duration(text) * 1000))
        except (InvalidDuration, OverflowError, ValueError):
            raise WrongUsage(
                f"{clean(text)} is no end", fix="write 2027-01-31, 90d, or 2027-01-31T12:00:00Z"
            ) from None
    if instant <= format_instant(now_ms):
        raise WrongUsage(
            f"{instant} has passed", fix="pillarbox credential disable ends a login at once"
        )
    return instant


def _following(
    added: Sequence[str], removed: Sequence[str], current: Sequence[str], *, emptied: bool = False
) -> list[str] | None:
    """The list that follows; None where nothing was said."""
    missing = [each for each in removed if each not in current]
    if missing:
        there = ", ".join(current) or "empty"
        raise WrongUsage(f"{clean(missing[0])} is not in the list: {clean(there)}")
    if not (added or removed or emptied):
        return None
    kept = [] if emptied else [each for each in current if each not in removed]
    return list(dict.fromkeys([*kept, *added]))


def _option_name(text: str) -> str:
    found = find_option(text)
    if found is None:
        raise WrongUsage(f"{clean(text)} is no mail option", fix=f"one of: {', '.join(OPTIONS)}")
    return found.name


def _address(text: str) -> str:
    return "" if text == _NONE else text


def _words(kind: type[OverLimit] | type[Once]) -> click.Choice[str]:
    return click.Choice([each.value for each in kind])


def _one(name: str, metavar: str, kind: Any, about: str) -> Any:
    return click.option(
        name, cls=Option, section=_SECTION, metavar=metavar, type=kind, help=about
    )  # fmt: skip


def _several(name: str, metavar: str, about: str) -> Any:
    return click.option(
        name, cls=Option, section=_SECTION, metavar=metavar, multiple=True,
        help=f"{about} Repeatable.",
    )  # fmt: skip


def _flag(name: str, about: str) -> Any:
    return click.option(name, cls=Option, section=_SECTION, is_flag=True, help=about)
