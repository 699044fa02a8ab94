"""the event vocabulary is complete, frozen, small, and readable years later"""

from __future__ import annotations

import msgspec
import pytest

from pillarbox.policy.events import EVENT_KINDS, AttemptFacts, EventKind

NAMED = {
    "message.accepted",
    "message.rejected",
    "message.left_as_it_is",
    "message.unsubscribed",
    "delivery.handed_over",
    "delivery.delivered",
    "delivery.deferred",
    "delivery.failed",
    "delivery.expired",
    "delivery.held",
    "delivery.released",
    "delivery.cancelled",
    "delivery.uncertain",
    "delivery.kept",
    "delivery.suppressed",
    "delivery.retry_asked",
    "delivery.moved",
    "lane.paused",
    "lane.resumed",
    "message.clicked",
    "message.opened",
    "message.option_ignored",
    "server.failing",
    "server.paused",
    "server.recovered",
    "server.tried",
    "server.quota_near",
    "server.quota_reached",
    "server.quota_over",
    "server.checked",
    "server.enabled",
    "server.disabled",
    "domain.proved",
    "domain.record_found",
    "domain.record_lost",
    "domain.key_activated",
    "domain.key_retired",
    "notice.owed",
    "notice.accepted",
    "notice.dropped",
    "server.password_shown",
}


def test_the_vocabulary_has_every_kind_and_no_other() -> None:
    assert set(EVENT_KINDS) == NAMED


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_every_kind_says_what_happened_and_how_loud_it_is(kind: str) -> None:
    about, level, struct = EVENT_KINDS[kind]
    assert isinstance(EVENT_KINDS[kind], EventKind)
    assert about.endswith(".")
    assert level in ("info", "warning", "error")
    assert struct.__struct_config__.frozen
    assert struct.__struct_config__.array_like
    assert not struct.__struct_config__.gc


@pytest.mark.parametrize("struct", {each.struct for each in EVENT_KINDS.values()})
def test_an_event_stored_before_a_field_was_added_is_still_read(
    struct: type[msgspec.Struct],
) -> None:
    required = [f for f in msgspec.structs.fields(struct) if f.required]
    oldest = [b"x" if f.type is bytes else 1 if f.type is int else "x" for f in required]
    assert isinstance(msgspec.msgpack.decode(msgspec.msgpack.encode(oldest), type=struct), struct)


def test_an_attempt_survives_storage_with_its_dialogue() -> None:
    facts = AttemptFacts(2, b"s" * 12, 7, "busy", 451, "4.3.2", "later", ((1, "220 hi"),), 9)
    stored = msgspec.msgpack.encode(facts)
    assert msgspec.msgpack.decode(stored, type=AttemptFacts) == facts
    assert len(stored) < 80
