"""ids grow, carry their time, and survive being read aloud"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.terms.errors import InvalidId
from pillarbox.terms.ids import (
    EPOCH_MS,
    MAX_NODE,
    MAX_RECIPIENTS,
    MessageId,
    Numbers,
    ObjectId,
    delivery_id,
    first_message_at,
    format_delivery_id,
    format_message_id,
    format_object_id,
    message_of,
    message_time_ms,
    new_object_id,
    node_of,
    ordinal_of,
    parse_delivery_id,
    parse_message_id,
    parse_object_id,
)

NOW = EPOCH_MS + 60_000_000_000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
messages = st.integers(0, (1 << 53) - 1).map(MessageId)


def test_message_ids_only_ever_grow() -> None:
    ids = Numbers()
    made = [ids.next(at) for at in (NOW, NOW, NOW + 1, NOW - 5000, NOW - 5000, NOW + 1, NOW + 2)]
    assert made == sorted(set(made))


def test_message_ids_go_on_above_what_is_stored() -> None:
    highest = Numbers().next(NOW + 1_000_000)
    above = Numbers(highest, 3).next(NOW)
    assert above > highest
    assert node_of(above) == 3


def test_no_two_nodes_hand_out_the_same_number() -> None:
    nodes = [Numbers(0, node) for node in range(MAX_NODE + 1)]
    made = [numbers.next(NOW) for _ in range(100) for numbers in nodes]
    assert len(set(made)) == len(made)


def test_more_than_the_counter_holds_runs_into_the_next_millisecond() -> None:
    ids = Numbers()
    made = [ids.next(NOW) for _ in range(5000)]
    assert len(set(made)) == 5000
    assert message_time_ms(MessageId(made[0])) == NOW
    assert message_time_ms(MessageId(made[-1])) == NOW + 5000 // 64


def test_an_id_says_when_it_was_made_and_ranges_by_time_begin_there() -> None:
    made = MessageId(Numbers().next(NOW))
    assert message_time_ms(made) == NOW
    assert first_message_at(NOW) <= made < first_message_at(NOW + 1)
    assert first_message_at(0) == 0


@given(messages, st.integers(0, MAX_RECIPIENTS))
def test_a_delivery_knows_its_message_and_its_place(message: MessageId, ordinal: int) -> None:
    delivery = delivery_id(message, ordinal)
    assert delivery < 1 << 63
    assert (message_of(delivery), ordinal_of(delivery)) == (message, ordinal)


@given(messages, st.integers(0, MAX_RECIPIENTS), st.binary(min_size=12, max_size=12))
def test_what_is_written_is_read_back(message: MessageId, ordinal: int, raw: bytes) -> None:
    delivery = delivery_id(message, ordinal)
    assert parse_message_id(format_message_id(message)) == message
    assert parse_delivery_id(format_delivery_id(delivery)) == delivery
    assert parse_object_id("app", format_object_id("app", ObjectId(raw))) == raw
    assert parse_object_id("app", raw.hex()) == raw


def is_noticed(text: str, at: int, *characters: str) -> bool:
    wrong = text[:at] + "".join(characters) + text[at + len(characters) :]
    try:
        parse_message_id(wrong)
    except InvalidId:
        return True
    return False


def are_alike(one: str, other: str) -> bool:
    """The check is modulo 29 of 32 digits: it cannot tell 0 from X, 1 from Y, 2 from Z."""
    return abs(ALPHABET.index(one) - ALPHABET.index(other)) == 29


@given(messages)
def test_one_mistyped_character_is_noticed(message: MessageId) -> None:
    text = format_message_id(message)
    last = len(text) - 1
    for at, right in enumerate(text[len("msg_") :], len("msg_")):
        for other in set(ALPHABET) - {right}:
            if at == last or not are_alike(right, other):
                assert is_noticed(text, at, other)


@given(messages)
def test_two_neighbours_that_changed_places_are_noticed(message: MessageId) -> None:
    text = format_message_id(message)
    last = len(text) - 1
    for at in range(len("msg_"), last):
        left, right = text[at], text[at + 1]
        if left != right and (at + 1 == last or not are_alike(left, right)):
            assert is_noticed(text, at, right, left)


def test_ids_may_be_typed_without_prefix_in_lower_case_and_with_look_alikes() -> None:
    message = MessageId(1)
    text = format_message_id(message).removeprefix("msg_")
    assert parse_message_id(text.lower().replace("0", "o").replace("1", "l")) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg_",
        "msg_0000000000",
        "dlv_000000000000",
        "msg_00000000000U",
        "msg_0000000000\u06f00",
        "msg_" + "0" * 5000,
    ],
)
def test_what_is_no_message_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId, match="is not an id") as raised:
        parse_message_id(text)
    assert len(raised.value.sentence) < 100


@pytest.mark.parametrize(
    "text", ["zz" * 12, "app_" + "Z" * 21, "srv_" + "0" * 21, "app_" + "0" * 20]
)
def test_what_is_no_object_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_object_id("app", text)


def test_an_object_id_beyond_twelve_bytes_is_refused() -> None:
    value = 1 << 96
    digits = ""
    rest = value
    for _ in range(20):
        digits = ALPHABET[rest & 31] + digits
        rest >>= 5
    with pytest.raises(InvalidId):
        parse_object_id("app", f"app_{digits}{ALPHABET[value % 29]}")


def test_object_ids_differ_and_are_twelve_bytes() -> None:
    made = {new_object_id() for _ in range(100)}
    assert len(made) == 100
    assert {len(one) for one in made} == {12}
