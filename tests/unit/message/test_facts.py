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
