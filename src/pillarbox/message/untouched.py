"""which links and images are left as they are, and why"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from pillarbox.message.links import MARK, Spot, is_web
from pillarbox.message.preventscam import label_is_link
from pillarbox.message.tokens import MAX_TARGET_OCTETS

MAX_URL_CHARACTERS: Final = MAX_TARGET_OCTETS // 4
"""Each may become several when what is beyond ASCII is percent-encoded."""
_OFF: Final = frozenset({b"off", b"no", b"false", b"0"})
_ON: Final = frozenset({b"on", b"yes", b"true", b"1"})


class Why(StrEnum):
    """What becomes of a link or image."""

    TRACKED = "tracked"
    NOT_WEB = "not_web"
    LABEL_IS_LINK = "label_is_link"
    MARKED = "marked"
    EXCEPTION = "exception"
    UNSUBSCRIBE = "unsubscribe"
    ONE_TIME = "one_time"
    TEMPLATE = "template"
    OURS = "ours"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"


WHY_WORDS: Final[dict[Why, str]] = {
    Why.TRACKED: "leads through the tracking host",
    Why.NOT_WEB: "is no http or https address",
    Why.LABEL_IS_LINK: "shows its own address, and changed it would look like fraud",
    Why.MARKED: f"is marked with {MARK.decode()}=off",
    Why.EXCEPTION: "is among the exceptions of the operator",
    Why.UNSUBSCRIBE: "is for unsubscribing, and must work whatever happens to us",
    Why.ONE_TIME: "looks as if it worked only once, and scanners that follow links would use it up",
    Why.TEMPLATE: "has a part of a template that nobody filled in",
    Why.OURS: "leads through the tracking host already",
    Why.TOO_LONG: f"has more than {MAX_URL_CHARACTERS} characters",
    Why.TOO_MANY: "comes behind more links or images than we count in one message",
}
"""Each as the end of a sentence that begins with the link."""

_TEMPLATE: Final = re.compile(r"\{\{|\}\}|\{%|%\}|\{\$|\$\{|<%|%>|\[\[|\*\|")
# These two are for addresses in lower case: looking for either case takes nine times as long.
_UNSUBSCRIBE: Final = re.compile(
    r"unsubscri|un-subscri|optout|opt-out|opt_out|afmeld|uitschrijv|abmeld|abbestell|desinscri|"
    r"désinscri|desabonn|désabonn|desuscri|cancelar-suscri|disiscri|avregistr|wypisz"
)
_ONCE: Final = re.compile(
    r"(?<![a-z])(?:reset|verify|verification|confirm|confirmation|activate|activation|magic|"
    r"one-?time|otp|passwordless|invite|invitation|accept|sign-?in|log-?in|sso|auth|callback)"
    r"(?![a-z])"
)
_SECRET: Final = re.compile(
    r"(?:^|[?&#;/])(?:token|code|key|otp|ticket|hash|sig|signature|nonce|secret|jwt|oobcode|"
    r"confirmation_token|reset_password_token|t|k|c)=[^&#]{6,}"
    r"|[/=](?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_.-]{20,}(?:[/?&#]|$)",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"https?://(?:[^/?#@\\]*@)?(\[[^\]]*\]|[^/?#:\\]*)", re.IGNORECASE)
_JUDGED_CHARACTERS: Final = 2000
_REMEMBERED_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the links of one message."""

    host: str
    """The tracking host, in lower case."""
    prevent_scam: bool = False
    exceptions: tuple[str, ...] = ()
    """Domains (``example.com``, ``.example.com`` for all below it), or patterns that match an address
    from its beginning, where ``*`` stands for anything."""
    unsubscribe: Collection[str] = ()
    """Addresses that the message itself names as those for unsubscribing (RFC 2369)."""


def judge_link(spot: Spot, rules: Rules) -> Why:
    """What becomes of a link."""
    traits = _traits(spot.url)
    why = _judge(spot, rules, traits)
    if why is not Why.TRACKED or spot.tag not in (b"a", b"area") or spot.mark in _ON:
        return why
    if traits.leads_away or spot.url in rules.unsubscribe:
        return Why.UNSUBSCRIBE
    if rules.prevent_scam and label_is_link(spot.label, spot.url):
        return Why.LABEL_IS_LINK
    return Why.ONE_TIME if traits.works_once else why


def judge_image(spot: Spot, rules: Rules) -> Why:
    """What becomes of an image."""
    return _judge(spot, rules, _traits(spot.url))


def host_of(url: str) -> str:
    """The host of a web address in lower case, empty where there is none."""
    found = _HOST.match(url)
    return found[1].lower().removesuffix(".") if found is not None else ""


class _Traits(NamedTuple):
    """What an address says of itself, whoever sends it."""

    is_template: bool
    is_web: bool
    host: str
    leads_away: bool
    works_once: bool


def _traits(url: str) -> _Traits:
    return _known_traits(url) if len(url) <= _REMEMBERED_CHARACTERS else _traits_of(url)


def _traits_of(url: str) -> _Traits:
    judged = url[:_JUDGED_CHARACTERS]
    return _Traits(
        _TEMPLATE.search(url) is not None,
        is_web(url),
        host_of(url),
        _UNSUBSCRIBE.search(unquote(judged).lower()) is not None,
        _ONCE.search(judged.lower()) is not None and _SECRET.search(judged) is not None,
    )


_known_traits: Final = lru_cache(maxsize=2048)(_traits_of)
"""Most messages share most of their links with others."""


def _judge(spot: Spot, rules: Rules, traits: _Traits) -> Why:
    if traits.is_template:
        return Why.TEMPLATE
    if not traits.is_web:
        return Why.NOT_WEB
    if spot.mark in _OFF:
        return Why.MARKED
    host = traits.host
    if host == rules.host:
        return Why.OURS
    if any(_excepted(each, spot.url, host) for each in rules.exceptions):
        return Why.EXCEPTION
    return Why.TOO_LONG if len(spot.url) > MAX_URL_CHARACTERS else Why.TRACKED


def _excepted(exception: str, url: str, host: str) -> bool:
    if "/" not in exception and "*" not in exception:
        pattern = exception.lower()
        return host.endswith(pattern) if pattern.startswith(".") else host == pattern
    # Each piece in turn from where the last one ended: no pattern can make this slow.
    pieces = exception.split("*")
    if not url.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = url.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    last = pieces[-1]
    return len(pieces) == 1 or (url.endswith(last) and len(url) - len(last) >= at)
