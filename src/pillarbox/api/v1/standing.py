"""how messages and their deliveries stand, for programs and people"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pillarbox.api.calls import Call
from pillarbox.api.v1.events import ServerNames, event_view
from pillarbox.message.options import tags_of
from pillarbox.message.words import decode_words
from pillarbox.policy.delivery import STATE_WORDS, WAITING, State
from pillarbox.policy.directory import App
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.explain import Standing, explain
from pillarbox.storage.interface.events import StoredEvent
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_delivery_id, format_message_id, message_time_ms

WORST_FIRST: Final = (
    State.FAILED,
    State.BOUNCED,
    State.EXPIRED,
    State.SUPPRESSED,
    State.CANCELLED,
    State.HELD,
    State.DEFERRED,
    State.ACTIVE,
    State.QUEUED,
    State.SCHEDULED,
    State.SANDBOXED,
    State.HANDED_OVER,
    State.DELIVERED,
)
"""Of several recipients' states the first in this order stands for the message."""


def status_of(states: Iterable[State]) -> State:
    """The state that stands for a message; at least one is given."""
    return min(states, key=WORST_FIRST.index)


def message_view(message: StoredMessage, app: App, rows: Sequence[DeliveryRow]) -> dict[str, Any]:
    """A message as programs see it, without what became of its recipients one by one."""
    facts = message.facts
    states: dict[str, int] = {}
    for row in rows:
        states[row.state.value] = states.get(row.state.value, 0) + 1
    status = status_of(row.state for row in rows) if rows else None
    return {
        "id": format_message_id(message.id),
        "app": app.name,
        "status": status,
        "word": STATE_WORDS[status].word if status else "",
        "states": states,
        "mode": message.mode,
        "from": message.author,
        "return_path": message.return_path,
        "subject": decode_words(message.subject.encode("utf-8", "replace")),
        "message_id": message.message_id,
        "size_bytes": message.size,
        "submitter": {"kind": facts.submitter_kind, "name": facts.submitter_name},
        "origin": {
            "porch": facts.origin.porch,
            "address": facts.origin.address,
            "protocol": facts.origin.protocol,
            "tls": facts.origin.tls,
        },
        "options": {name: option.value for name, option in facts.options.items()},
        "option_origins": {name: option.origin for name, option in facts.options.items()},
        "tags": tags_of(facts.options),
        "accepted_at": format_instant(message_time_ms(message.id)),
        "expires_at": format_instant(message.expires_at),
    }


def delivery_line(row: DeliveryRow) -> dict[str, Any]:
    """A recipient's standing in short."""
    waits = row.state in WAITING
    return {
        "id": format_delivery_id(row.delivery),
        "recipient": row.recipient,
        "state": row.state,
        "word": STATE_WORDS[row.state].word,
        "attempts": row.attempts,
        "due_at": format_instant(row.at) if waits else None,
        "settled_at": None if waits else format_instant(row.at),
        "uncertain": row.uncertain,
    }


_VISITS: Final = 100
"""Of one recipient, the first; all stand in the list of events."""


async def delivery_view(
    call: Call, message: StoredMessage, app: App, row: DeliveryRow, servers: ServerNames
) -> dict[str, Any]:
    """A recipient's standing with its history, and both in words."""
    history = await call.rooms.storage.events.history(row.last_event)
    explanation = explain(standing_of(message, row, last_attempt(history), servers), call.now_ms)
    return {
        **delivery_line(row),
        "explanation": {
            "about": explanation.about,
            "why": explanation.why,
            "next": explanation.what_next,
            "advice": explanation.advice,
            "text": explanation.text,
        },
        "history": [
            event_view(event, app.name, servers, tags_of(message.facts.options))
            | ({"words": _arrival(message)} if event.kind == "message.accepted" else {})
            for event in history
        ],
        "visits": [
            event_view(event, app.name, servers, tags_of(message.facts.options))
            for event in await call.rooms.storage.visits.of_delivery(row.delivery, _VISITS)
        ],
    }


def _arrival(message: StoredMessage) -> str:
    """What the event of acceptance leaves to the message's own row."""
    facts, origin = message.facts, message.facts.origin
    place = f", from {origin.address}" if origin.address else ""
    way = origin.protocol or origin.porch
    return f"Taken from {facts.submitter_name} over {way}{place}."


def last_attempt(history: Sequence[StoredEvent]) -> AttemptFacts | None:
    """Of a history; None where nothing was tried."""
    for event in reversed(history):
        if isinstance(event.data, AttemptFacts):
            return event.data
    return None


def standing_of(
    message: StoredMessage, row: DeliveryRow, last: AttemptFacts | None, servers: ServerNames
) -> Standing:
    """What is known of a delivery, for `policy.explain`."""
    facts = last or AttemptFacts()
    return Standing(
        state=row.state,
        attempts=row.attempts,
        due_at=row.at if row.state in WAITING else 0,
        expires_at=message.expires_at,
        category=facts.category,
        words=facts.words,
        server=servers.subject_of(facts),
        code=facts.code,
        status=facts.status,
        text=facts.text,
        uncertain=row.uncertain,
    )
