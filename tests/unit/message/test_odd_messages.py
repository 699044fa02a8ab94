"""odd and broken messages leave as they came, whatever is switched on"""

from __future__ import annotations

import pytest

from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.message.keys import RenderKeys
from pillarbox.message.render import Hop, render, rendering
from pillarbox.terms.ids import DeliveryId
from tests.unit.message.odd_messages import odd_messages

EVERYTHING = {
    name: OptionValue("hosted" if name == "images" else "true", "app")
    for name in ("inlinecss", "trackclicks", "preventscam", "images")
}
KEYS = RenderKeys({1: b"k" * 32})
ANYWHERE = Hop(eight_bit=True, smtputf8=True)
ODD = odd_messages()


def facts(options: dict[str, OptionValue]) -> MessageFacts:
    return MessageFacts(
        "ann@example.com", (RecipientFacts("bob@example.org"),), Origin("smtp"), "credential", "x",
        options=options, tracking_host="clicks.test", token_key=1,
    )  # fmt: skip


def test_there_are_many_of_them() -> None:
    assert len(set(ODD.values())) >= 150


@pytest.mark.parametrize("name", ODD)
def test_an_odd_message_leaves_as_it_came(name: str) -> None:
    content = ODD[name]
    assert render(content, facts({}), ANYWHERE) is content
    made = rendering(content, facts(EVERYTHING), ANYWHERE, KEYS, DeliveryId(1 << 60))
    assert made.content == content
    assert not made.changes.edits
