"""the life of one recipient: states, table, transitions"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from pillarbox.policy.errors import WrongState


class State(StrEnum):
    """Where one recipient's delivery stands."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    ACTIVE = "active"
    DEFERRED = "deferred"
    HELD = "held"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    SANDBOXED = "sandboxed"


WAITING: Final = frozenset(
    {State.SCHEDULED, State.QUEUED, State.ACTIVE, State.DEFERRED, State.HELD}
)
FINAL: Final = frozenset(State) - WAITING
BIRTH: Final = frozenset(
    {State.QUEUED, State.SCHEDULED, State.HELD, State.SANDBOXED, State.SUPPRESSED}
)
"""The states in which a delivery may be accepted."""

TAKEN: Final = frozenset({State.HANDED_OVER, State.DELIVERED})
"""Somebody else answers for the recipient now."""


class Trigger(StrEnum):
    """What can happen to a delivery."""

    DUE = "due"
    CLAIMED = "claimed"
    PUT_BACK = "put_back"
    """Released unsent, at shutdown."""
    LEASE_EXPIRED = "lease_expired"
    """Its worker died, and it is free again."""
    LEASE_EXPIRED_HOLD = "lease_expired_hold"
    """Its worker died while it may have been leaving, and its submitter wants such mail held."""
    TAKEN_BY_SERVER = "taken_by_server"
    """A server of the app took it."""
    TAKEN_BY_MX = "taken_by_mx"
    """The recipient's own server took it."""
    LATER = "later"
    NEVER = "never"
    LOST_AFTER_DOT = "lost_after_dot"
    """The connection went behind the final dot; whether it was taken is not known."""
    LOST_AFTER_DOT_HOLD = "lost_after_dot_hold"
    TOO_OLD = "too_old"
    SUPPRESSED = "suppressed"
    """The address came onto the suppression list before an attempt."""
    CALLER_TOLD = "caller_told"
    """The waiting caller was told that it failed, so it must not leave any more."""
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    RETRY = "retry"
    """A person wants it tried now."""
    MOVE = "move"
    """A person sends it another way."""
    LATE_FAILURE = "late_failure"
    """A report came by mail: it was not delivered after all."""
    LATE_SUCCESS = "late_success"
    COMPLAINT = "complaint"


_S, _T = State, Trigger

TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (_S.SCHEDULED, _T.DUE): _S.QUEUED,
    (_S.SCHEDULED, _T.RETRY): _S.QUEUED,
    (_S.SCHEDULED, _T.MOVE): _S.SCHEDULED,
    (_S.SCHEDULED, _T.TOO_OLD): _S.EXPIRED,
    (_S.SCHEDULED, _T.CANCEL): _S.CANCELLED,
    (_S.SCHEDULED, _T.CALLER_TOLD): _S.FAILED,
    (_S.QUEUED, _T.CLAIMED): _S.ACTIVE,
    (_S.QUEUED, _T.RETRY): _S.QUEUED,
    (_S.QUEUED, _T.MOVE): _S.QUEUED,
    (_S.QUEUED, _T.TOO_OLD): _S.EXPIRED,
    (_S.QUEUED, _T.SUPPRESSED): _S.SUPPRESSED,
    (_S.QUEUED, _T.HOLD): _S.HELD,
    (_S.QUEUED, _T.CANCEL): _S.CANCELLED,
    (_S.QUEUED, _T.CALLER_TOLD): _S.FAILED,
    (_S.ACTIVE, _T.PUT_BACK): _S.QUEUED,
    (_S.ACTIVE, _T.LEASE_EXPIRED): _S.QUEUED,
    (_S.ACTIVE, _T.LEASE_EXPIRED_HOLD): _S.HELD,
    (_S.ACTIVE, _T.TAKEN_BY_SERVER): _S.HANDED_OVER,
    (_S.ACTIVE, _T.TAKEN_BY_MX): _S.DELIVERED,
    (_S.ACTIVE, _T.LATER): _S.DEFERRED,
    (_S.ACTIVE, _T.NEVER): _S.FAILED,
    (_S.ACTIVE, _T.LOST_AFTER_DOT): _S.DEFERRED,
    (_S.ACTIVE, _T.LOST_AFTER_DOT_HOLD): _S.HELD,
    (_S.ACTIVE, _T.CALLER_TOLD): _S.FAILED,
    (_S.DEFERRED, _T.CLAIMED): _S.ACTIVE,
    (_S.DEFERRED, _T.RETRY): _S.DEFERRED,
    (_S.DEFERRED, _T.MOVE): _S.DEFERRED,
    (_S.DEFERRED, _T.TOO_OLD): _S.EXPIRED,
    (_S.DEFERRED, _T.SUPPRESSED): _S.SUPPRESSED,
    (_S.DEFERRED, _T.HOLD): _S.HELD,
    (_S.DEFERRED, _T.CANCEL): _S.CANCELLED,
    (_S.DEFERRED, _T.CALLER_TOLD): _S.FAILED,
    (_S.HELD, _T.RELEASE): _S.QUEUED,
    (_S.HELD, _T.MOVE): _S.HELD,
    (_S.HELD, _T.TOO_OLD): _S.EXPIRED,
    (_S.HELD, _T.CANCEL): _S.CANCELLED,
    (_S.HELD, _T.CALLER_TOLD): _S.FAILED,
    (_S.HANDED_OVER, _T.LATE_FAILURE): _S.BOUNCED,
    (_S.HANDED_OVER, _T.LATE_SUCCESS): _S.HANDED_OVER,
    (_S.HANDED_OVER, _T.COMPLAINT): _S.HANDED_OVER,
    (_S.DELIVERED, _T.LATE_FAILURE): _S.BOUNCED,
    (_S.DELIVERED, _T.COMPLAINT): _S.DELIVERED,
    (_S.FAILED, _T.LATE_FAILURE): _S.FAILED,
    (_S.EXPIRED, _T.LATE_FAILURE): _S.EXPIRED,
    (_S.BOUNCED, _T.LATE_FAILURE): _S.BOUNCED,
}
"""All that may happen. A pair that is not listed is refused by `transition`."""


def transition(state: State, trigger: Trigger) -> State:
    """The state that follows. Raises `WrongState` where the table lists no such step."""
    following = TRANSITIONS.get((state, trigger))
    if following is None:
        word = STATE_WORDS[state].word
        asked = _ASKED.get(trigger, f"take the step {trigger.value!r}")
        if state is State.ACTIVE:
            raise WrongState(
                f"Cannot {asked}: it is being sent now.",
                fix="Wait until this attempt has ended, then look again.",
            )
        raise WrongState(f"Cannot {asked} in the state {word}: {STATE_WORDS[state].about}")
    return following


def may(state: State, trigger: Trigger) -> bool:
    """Whether the table lists that step."""
    return (state, trigger) in TRANSITIONS


_ASKED: Final = {
    Trigger.HOLD: "hold this delivery",
    Trigger.RELEASE: "release this delivery",
    Trigger.CANCEL: "cancel this delivery",
    Trigger.RETRY: "try this delivery again",
}


class StateWord(NamedTuple):
    """What people see of a state."""

    word: str
    about: str


STATE_WORDS: Final[dict[State, StateWord]] = {
    State.SCHEDULED: StateWord("Scheduled", "it waits for the time it was scheduled for."),
    State.QUEUED: StateWord(
        "Queued", "we have it, and it will be tried as soon as it is its turn."
    ),
    State.ACTIVE: StateWord("Sending", "an attempt to hand it on is being made right now."),
    State.DEFERRED: StateWord("Retrying", "the last attempt was put off; it will be tried again."),
    State.HELD: StateWord("Held", "it waits for a person to release or cancel it."),
    State.HANDED_OVER: StateWord(
        "Handed over", "a server of the app took it; what becomes of it there is not known yet."
    ),
    State.DELIVERED: StateWord(
        "Delivered", "the recipient's own server took it, which is no proof of the inbox."
    ),
    State.FAILED: StateWord("Failed", "it was refused for good while we tried to hand it on."),
    State.BOUNCED: StateWord("Bounced", "it was taken, and a later report said it was returned."),
    State.EXPIRED: StateWord("Expired", "it could not be handed on in time, and we gave up."),
    State.SUPPRESSED: StateWord(
        "Suppressed", "it was not tried, because the address is on the suppression list."
    ),
    State.CANCELLED: StateWord("Cancelled", "a person stopped it before it left."),
    State.SANDBOXED: StateWord("Kept", "it is kept in the sandbox; nothing leaves from there."),
}
