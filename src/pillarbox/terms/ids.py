"""time-ordered identifiers and the id people read aloud"""

from __future__ import annotations

import os
import time
from typing import Final, NewType

from pillarbox.terms.errors import InvalidId

MessageId = NewType("MessageId", int)
"""Milliseconds since `EPOCH_MS`, six bits of counter, six of the node's number: 53 bits until 2094."""

DeliveryId = NewType("DeliveryId", int)
"""A message id shifted by 10 bits, plus the recipient's ordinal, from 1. Fits 63 bits."""

ObjectId = NewType("ObjectId", bytes)
"""Twelve bytes: four of seconds, eight at random. Apps, servers, credentials, keys, accounts."""

EPOCH_MS: Final = 1_735_689_600_000  # 2025-01-01T00:00:00Z
COUNTER_BITS: Final = 12
"""Counter and node number together."""

NODE_BITS: Final = 6
MAX_NODE: Final = (1 << NODE_BITS) - 1
ORDINAL_BITS: Final = 10
MAX_RECIPIENTS: Final = (1 << ORDINAL_BITS) - 1

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_READ_AS: Final = {c: i for i, c in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_CHECK_MODULUS: Final = 29
"""Not 31: modulo that every digit of base 32 weighs the same, and swapped digits pass for right."""
_MESSAGE_DIGITS: Final = 11
_DELIVERY_DIGITS: Final = 13
_OBJECT_DIGITS: Final = 20
_OBJECT_BYTES: Final = 12


class Numbers:
    """Hands out numbers that only ever grow, even when the clock steps back, and that no other node
    hands out. Messages, events and connections are numbered so.
    """

    def __init__(self, highest: int = 0, node: int = 0) -> None:
        """Start above `highest`, the largest number already stored."""
        self._last = highest
        self._node = node

    def next(self, now_ms: int) -> int:
        """A number above every one handed out before; `now_ms` is Unix time in milliseconds."""
        fresh = (now_ms - EPOCH_MS) << COUNTER_BITS | self._node
        if fresh <= self._last:
            fresh = ((self._last >> NODE_BITS) + 1) << NODE_BITS | self._node
        self._last = fresh
        return fresh


def node_of(number: int) -> int:
    """Which node handed out a message id or the number of an event."""
    return number & MAX_NODE


def first_event_from(highest: int, node: int) -> int:
    """Where a group of events begins to count: above `highest`, and not before this instant."""
    return Numbers(highest, node).next(time.time_ns() // 1_000_000)


def delivery_id(message: MessageId, ordinal: int) -> DeliveryId:
    """The id of the `ordinal`-th recipient's delivery; ordinal 0 means the message as a whole."""
    return DeliveryId(message << ORDINAL_BITS | ordinal)


def message_of(delivery: DeliveryId) -> MessageId:
    """The message a delivery belongs to."""
    return MessageId(delivery >> ORDINAL_BITS)


def ordinal_of(delivery: DeliveryId) -> int:
    """Which recipient of its message a delivery is, from 1."""
    return delivery & MAX_RECIPIENTS


def message_time_ms(message: MessageId) -> int:
    """Unix time in milliseconds at which the id was made."""
    return (message >> COUNTER_BITS) + EPOCH_MS


def first_message_at(at_ms: int) -> MessageId:
    """The smallest id a message of that instant may have: the start of a range by time."""
    return MessageId(max(0, at_ms - EPOCH_MS) << COUNTER_BITS)


def new_object_id() -> ObjectId:
    """A fresh id for anything that is neither a message nor a delivery."""
    return ObjectId(int(time.time()).to_bytes(4, "big") + os.urandom(8))


def format_message_id(message: MessageId) -> str:
    """``msg_`` and eleven digits and a check character."""
    return "msg_" + _digits(message, _MESSAGE_DIGITS)


def format_delivery_id(delivery: DeliveryId) -> str:
    """``dlv_`` and thirteen digits and a check character."""
    return "dlv_" + _digits(delivery, _DELIVERY_DIGITS)


def format_object_id(prefix: str, value: ObjectId) -> str:
    """`prefix` (``app``, ``srv``, ``crd``, ``key``, ...), an underscore, digits, check character."""
    return f"{prefix}_" + _digits(int.from_bytes(value, "big"), _OBJECT_DIGITS)


def parse_message_id(text: str) -> MessageId:
    """Read what `format_message_id` wrote; the prefix may be missing. Raises `InvalidId`."""
    return MessageId(_value(text, "msg", _MESSAGE_DIGITS))


def parse_delivery_id(text: str) -> DeliveryId:
    """Read what `format_delivery_id` wrote; the prefix may be missing. Raises `InvalidId`."""
    return DeliveryId(_value(text, "dlv", _DELIVERY_DIGITS))


def parse_object_id(prefix: str, text: str) -> ObjectId:
    """Read what `format_object_id` wrote, or 24 hex digits. Raises `InvalidId`."""
    if len(text) == 2 * _OBJECT_BYTES and "_" not in text:
        try:
            return ObjectId(bytes.fromhex(text))
        except ValueError:
            raise InvalidId(f"{text[:40]!r} is not an id") from None
    return ObjectId(_value(text, prefix, _OBJECT_DIGITS).to_bytes(_OBJECT_BYTES, "big"))


def _digits(value: int, count: int) -> str:
    text = _ALPHABET[value % _CHECK_MODULUS]
    rest = value
    for _ in range(count // 2):
        text = _PAIRS[rest & 1023] + text
        rest >>= 10
    return _ALPHABET[rest] + text if count % 2 else text


def _value(text: str, prefix: str, count: int) -> int:
    digits = text.removeprefix(prefix + "_").upper()
    wrong = InvalidId(f"{text[:40]!r} is not an id of the form {prefix}_...")
    if len(digits) != count + 1 or any(c not in _READ_AS for c in digits):
        raise wrong
    value = 0
    for c in digits[:-1]:
        value = value << 5 | _READ_AS[c]
    if value % _CHECK_MODULUS != _READ_AS[digits[-1]] or value >> (5 * count):
        raise wrong
    if count == _OBJECT_DIGITS and value >> (8 * _OBJECT_BYTES):
        raise wrong
    return value
