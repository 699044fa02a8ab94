"""which DSN is owed to whom (RFC 3461), never backscatter

Only whoever handed us the message hears of it, at the return path given with it, and only of what
was asked for. A null return path hears nothing: it marks the notices themselves (RFC 5321 §4.5.5),
and two systems would otherwise go on reporting to each other for ever.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.policy.envelope import Notify


class NoticeKind(StrEnum):
    """What a notice says; the action of RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """A next hop took it that will send no notice of its own."""


_KINDS: Final[dict[State, tuple[Notify, NoticeKind]]] = {
    State.FAILED: (Notify.FAILURE, NoticeKind.FAILED),
    State.EXPIRED: (Notify.FAILURE, NoticeKind.FAILED),
    State.SUPPRESSED: (Notify.FAILURE, NoticeKind.FAILED),
    State.DEFERRED: (Notify.DELAY, NoticeKind.DELAYED),
    State.DELIVERED: (Notify.SUCCESS, NoticeKind.DELIVERED),
    State.HANDED_OVER: (Notify.SUCCESS, NoticeKind.RELAYED),
}


def notice_owed(
    state: State,
    notify: Collection[Notify],
    return_path: str,
    answer_by: int | None,
    *,
    late: bool = False,
    passed_on: bool = False,
) -> NoticeKind | None:
    """The notice owed for a recipient whose delivery came to `state`; None where there is none.

    `answer_by` is set where the caller waited for the verdict and so knows it. `late` says that a
    deferred delivery has waited so long that its submitter should hear of it, and has not yet.
    `passed_on` says that the next hop knows the wishes (RFC 3461 §5.2.2) and will report itself.
    """
    if not return_path or answer_by is not None or Notify.NEVER in notify:
        return None
    wish, kind = _KINDS.get(state, (None, None))
    if wish is None or wish not in notify:
        return None
    if kind is NoticeKind.DELAYED and not late:
        return None
    if kind is NoticeKind.RELAYED and passed_on:
        return None
    return kind


@lru_cache(maxsize=64)
def read_notify(text: str) -> frozenset[Notify]:
    """The wishes as they are stored with a message, joined by commas; unknown ones are left out."""
    words = {word.strip().upper() for word in text.split(",")}
    return frozenset(wish for wish in Notify if wish.value in words)


def format_notify(notify: Collection[Notify]) -> str:
    """The wishes joined by commas, in the order of RFC 3461 §4.1."""
    return ",".join(wish.value for wish in Notify if wish in notify)
