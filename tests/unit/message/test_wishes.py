"""what the stored facts of a message ask of rendering"""

from __future__ import annotations

import time

import pytest

from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.message.header import HeaderBlock
from pillarbox.message.wishes import (
    asks_for_features,
    inlines_styles,
    is_dressed,
    is_individual,
    wishes_of,
)


def facts(
    host: str = "clicks.test:8443", keys: tuple[str, ...] = (), **options: str
) -> MessageFacts:
    return MessageFacts(
        "ann@example.com", (RecipientFacts("bob@example.org"),), Origin("smtp"), "credential", "x",
        options={name: OptionValue(value, "app") for name, value in options.items()},
        tracking_host=host, exceptions=("example.net",), key_ids=keys,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "features", "individual"),
    [
        ({}, False, False),
        ({"tags": "a", "preventscam": "true", "trackbounces": "true"}, False, False),
        ({"inlinecss": "false", "trackclicks": "false", "images": "default"}, False, False),
        ({"inlinecss": "true"}, True, False),
        ({"images": "hosted"}, True, False),
        ({"trackclicks": "true"}, True, True),
        ({"trackopens": "true"}, True, True),
    ],
)
def test_what_options_come_to(options: dict[str, str], features: bool, individual: bool) -> None:
    assert asks_for_features(facts(**options)) is is_dressed(facts(**options)) is features
    assert is_individual(facts(**options)) is individual
    assert is_individual(facts("", **options)) is False
    assert is_dressed(facts(keys=("example.com/a",), **options))
    assert inlines_styles(facts(**options)) is (options.get("inlinecss") == "true")


def test_the_wishes_name_the_host_without_its_port_and_what_is_left_alone() -> None:
    header = b"List-Unsubscribe: <mailto:x@example.com>,\r\n <HTTPS://example.com/bye>\r\n\r\n"
    wishes, remarks = wishes_of(
        facts(trackclicks="true", preventscam="true"), HeaderBlock.parse(header).fields
    )
    assert not remarks
    assert (wishes.track_clicks, wishes.track_opens, wishes.host_images) == (True, False, False)
    assert wishes.rules.host == "clicks.test"
    assert wishes.rules.prevent_scam
    assert wishes.rules.exceptions == ("example.net",)
    assert set(wishes.rules.unsubscribe) == {"HTTPS://example.com/bye"}


@pytest.mark.parametrize("name", ["trackclicks", "trackopens", "images"])
def test_without_a_tracking_host_styles_alone_can_be_had_and_that_is_said(name: str) -> None:
    value = "hosted" if name == "images" else "true"
    wishes, (remark,) = wishes_of(facts("", inlinecss="true", **{name: value}), [])
    assert wishes.inline_css and not wishes.needs_tokens
    assert "tracking.host" in remark


def test_addresses_without_an_end_are_passed_over_in_linear_time() -> None:
    header = b"List-Unsubscribe: <https://example.com/bye>,\r\n " + b"<http://a" * 20_000 + b"\r\n"
    fields = HeaderBlock.parse(header + b"\r\n").fields
    before = time.process_time()
    wishes, _ = wishes_of(facts(trackclicks="true"), fields)
    assert time.process_time() - before < 1  # it was ten and more
    assert set(wishes.rules.unsubscribe) == {"https://example.com/bye"}
