"""what the stored facts of a message ask of rendering, and whether each recipient gets his own copy"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Wishes
from pillarbox.message.header import Field
from pillarbox.message.options import is_on
from pillarbox.message.unsubscribe import is_unsubscribable
from pillarbox.message.untouched import Rules, host_of

_TRACKING: Final = ("trackclicks", "trackopens")
_INDIVIDUAL: Final = (*_TRACKING, "unsubscribe")
_IN_BRACKETS: Final = re.compile(r"<\s*+(https?://[^<>]*+)>", re.IGNORECASE)
_NO_HOST: Final = (
    "Nothing was tracked and no image hosted: no tracking host is configured (tracking.host)."
)

_NO_WAY_TO_LEAVE: Final = (
    "No List-Unsubscribe field was added: one click needs a tracking host that is asked by https."
)


def is_dressed(facts: MessageFacts) -> bool:
    """Whether the message leaves otherwise than it came, or signed."""
    return bool(facts.key_ids) or asks_for_features(facts)


def asks_for_features(facts: MessageFacts) -> bool:
    """Whether an option asks for a change of its content."""
    options = facts.options
    return bool(options) and (
        is_on(options, "inlinecss")
        or any(is_on(options, name) for name in _INDIVIDUAL)
        or _hosts_images(facts)
    )


def is_individual(facts: MessageFacts) -> bool:
    """Whether what leaves differs from recipient to recipient."""
    options = facts.options
    return bool(options and facts.tracking_host) and any(
        is_on(options, name) for name in _INDIVIDUAL
    )


def inlines_styles(facts: MessageFacts) -> bool:
    """Whether style sheets are to become attributes."""
    return bool(facts.options) and is_on(facts.options, "inlinecss")


def wishes_of(facts: MessageFacts, fields: Sequence[Field]) -> tuple[Wishes, list[str]]:
    """What is to be done to a message with these header fields, and what cannot be."""
    options = facts.options
    host = facts.tracking_host
    clicks, opens = (is_on(options, name) for name in _TRACKING)
    hosting = _hosts_images(facts)
    remarks = [_NO_HOST] if not host and (clicks or opens or hosting) else []
    tracked = bool(host)
    leaving = is_on(options, "unsubscribe") and not is_unsubscribable(fields)
    if leaving and not (tracked and facts.tracking_https):
        remarks.append(_NO_WAY_TO_LEAVE)
        leaving = False
    return (
        Wishes(
            inline_css=is_on(options, "inlinecss"),
            track_clicks=clicks and tracked,
            track_opens=opens and tracked,
            host_images=hosting and tracked,
            unsubscribe=leaving,
            rules=Rules(
                host=host_of(f"https://{host}/"),
                prevent_scam=is_on(options, "preventscam"),
                exceptions=facts.exceptions,
                unsubscribe=_unsubscribe(fields) if clicks else (),
            ),
        ),
        remarks,
    )


def _hosts_images(facts: MessageFacts) -> bool:
    found = facts.options.get("images")
    return found is not None and found.value == "hosted"


def _unsubscribe(fields: Sequence[Field]) -> frozenset[str]:
    """The web addresses of List-Unsubscribe (RFC 2369 §3.2)."""
    return frozenset(
        found.strip()
        for field in fields
        if field.name.lower() == b"list-unsubscribe"
        for found in _IN_BRACKETS.findall(field.value.decode("utf-8", "replace"))
    )
