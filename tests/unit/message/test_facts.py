from __future__ import annotations

import msgspec

from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts


def test_facts_survive_being_stored():
    facts = MessageFacts(
        return_path="ann@example.com",
        recipients=(RecipientFacts("bob@example.org", "NEVER", "rfc822;b@example.org"),),
        origin=Origin("smtp", "192.0.2.7", 1, "client", "ESMTPSA", "TLSv1.3"),
        submitter_kind="credential",
        submitter_name="shop",
        options={"trackclicks": OptionValue("true", "header")},
        tags=("a", "b"),
    )
    stored = msgspec.msgpack.encode(facts)
    assert msgspec.msgpack.decode(stored, type=MessageFacts) == facts


def test_what_was_stored_of_a_recipient_before_it_had_a_wish_of_its_own_is_still_read():
    stored = msgspec.msgpack.encode(["bob@example.org", "FAILURE", None])
    assert msgspec.msgpack.decode(stored, type=RecipientFacts) == RecipientFacts("bob@example.org")
    assert not RecipientFacts("bob@example.org").notify_said
