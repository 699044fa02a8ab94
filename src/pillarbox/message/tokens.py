"""tokens of tracked links and images: minted and read; HMAC, with the number of its key

A token carries all that is needed to answer it, so that a link leads on when its message is long
gone. Whoever cannot mint one cannot have us redirect anywhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from pillarbox.terms.ids import DeliveryId

_HEAD: Final = struct.Struct(">BHqH")
"""Version and kind in one octet, number of the key, delivery, position."""
_VERSION: Final = 1
_MAC_OCTETS: Final = 16
_PURPOSE: Final = b"pillarbox/tracking/1\0"
_BLOCK_OCTETS: Final = 64
_INNER: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER: Final = bytes(octet ^ 0x5C for octet in range(256))
KEY_OCTETS: Final = 32
MAX_TARGET_OCTETS: Final = 8000
MAX_TOKEN_CHARACTERS: Final = 11_000
MAX_POSITION: Final = 0xFFFF
MAX_KEY_NUMBER: Final = 0xFFFF


_FOR_ADDRESSES: Final = bytes.maketrans(b"+/", b"-_")


class TokenKind(IntEnum):
    """What a token is for; one kind is never taken for another."""

    CLICK = 1
    IMAGE = 2
    PIXEL = 3
    UNSUBSCRIBE = 4
    HOSTED = 5


_FIRST: Final = {kind: _VERSION << 4 | kind for kind in TokenKind}


class Token(NamedTuple):
    """What stands in a token."""

    kind: TokenKind
    delivery: DeliveryId
    position: int = 0
    """Of the link or image in its message, from 1; the same address twice is two links."""
    target: str = ""
    """Where it leads, in ASCII."""
    key: int = 0
    """Number of the key it was minted with."""


def mint(token: Token, secret: bytes) -> str:
    """As it stands in an address: letters, digits, ``-`` and ``_``.

    Raises `ValueError` for a target that is not ASCII or longer than `MAX_TARGET_OCTETS`.
    """
    target = token.target.encode("ascii")
    if len(target) > MAX_TARGET_OCTETS:
        raise ValueError(f"the address has {len(target)} octets")
    first = _FIRST[token.kind]
    body = _HEAD.pack(first, token.key, token.delivery, token.position) + target
    text = binascii.b2a_base64(body + _mac(body, secret), newline=False)
    return text.translate(_FOR_ADDRESSES, b"=").decode("ascii")


def read(text: str, secrets: Mapping[int, bytes]) -> Token | None:
    """What a token says; None where it is not one of ours, whatever is wrong with it."""
    data = _decoded(text)
    if data is None:
        return None
    body, mac = data[:-_MAC_OCTETS], data[-_MAC_OCTETS:]
    if len(body) < _HEAD.size:
        return None
    first, key, delivery, position = _HEAD.unpack_from(body)
    secret = secrets.get(key)
    if secret is None or not hmac.compare_digest(mac, _mac(body, secret)):
        return None
    # The last letter of a token has bits that say nothing; only one spelling is ours.
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode("ascii"):
        return None
    try:
        kind = TokenKind(first & 0xF)
        target = body[_HEAD.size :].decode("ascii")
    except ValueError:
        return None
    if first >> 4 != _VERSION:
        return None
    return Token(kind, DeliveryId(delivery), position, target, key)


def key_named(text: str) -> int:
    """The number of the key that a token says it was minted with, which is not to be believed yet;
    0 where it says none.
    """
    data = _decoded(text) or b""
    return int(_HEAD.unpack_from(data)[1]) if len(data) >= _HEAD.size else 0


def _decoded(text: str) -> bytes | None:
    if len(text) > MAX_TOKEN_CHARACTERS:
        return None
    try:
        return base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        return None


def _mac(body: bytes, secret: bytes) -> bytes:
    inner, outer = _keyed(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()[:_MAC_OCTETS]


@lru_cache(maxsize=8)
def _keyed(secret: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC (RFC 2104 §4) with what is the same for all tokens of a key done beforehand."""
    key = secret if len(secret) <= _BLOCK_OCTETS else hashlib.sha256(secret).digest()
    key = key.ljust(_BLOCK_OCTETS, b"\0")
    return (
        hashlib.sha256(key.translate(_INNER) + _PURPOSE),
        hashlib.sha256(key.translate(_OUTER)),
    )
