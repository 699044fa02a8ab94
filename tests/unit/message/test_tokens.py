"""tokens say what was put into them, and nobody else can make one"""

from __future__ import annotations

import base64
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.tokens import MAX_TARGET_OCTETS, Token, TokenKind, key_named, mint, read
from pillarbox.terms.ids import DeliveryId

SECRETS = {1: b"one".ljust(32, b"1"), 7: b"seven".ljust(32, b"7")}

tokens = st.builds(
    Token,
    st.sampled_from(TokenKind),
    st.integers(0, 2**63 - 1).map(DeliveryId),
    st.integers(0, 0xFFFF),
    st.text(string.printable, max_size=300),
    st.sampled_from(sorted(SECRETS)),
)


@given(tokens)
def test_what_is_minted_can_be_read(token: Token) -> None:
    text = mint(token, SECRETS[token.key])
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert read(text, SECRETS) == token
    assert mint(token, SECRETS[token.key]) == text


@given(tokens, st.data())
def test_one_altered_character_makes_it_nothing(token: Token, data: st.DataObject) -> None:
    text = mint(token, SECRETS[token.key])
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=+/ é"))
    altered = text[:place] + other + text[place + 1 :]
    assert read(altered, SECRETS) == (token if altered == text else None)


@given(st.text(max_size=200))
def test_no_text_that_comes_along_is_a_token(text: str) -> None:
    assert read(text, SECRETS) is None


def test_the_key_of_another_number_does_not_open_it() -> None:
    token = Token(TokenKind.CLICK, DeliveryId(5), 1, "https://example.com/", 1)
    text = mint(token, SECRETS[1])
    assert read(text, {1: SECRETS[7]}) is None
    assert read(text, {}) is None, "a revoked key"
    assert read(mint(token, SECRETS[7]), SECRETS) is None


def test_what_is_too_long_is_neither_minted_nor_read() -> None:
    token = Token(TokenKind.CLICK, DeliveryId(5), 1, "a" * (MAX_TARGET_OCTETS + 1), 1)
    with pytest.raises(ValueError, match="octets"):
        mint(token, SECRETS[1])
    assert read("A" * 1_000_000, SECRETS) is None
    with pytest.raises(ValueError, match="ascii"):
        mint(Token(TokenKind.CLICK, DeliveryId(5), 1, "é", 1), SECRETS[1])


@given(tokens)
def test_the_key_a_token_names_can_be_read_without_having_it(token: Token) -> None:
    assert key_named(mint(token, SECRETS[token.key])) == token.key


@given(st.text(max_size=200))
def test_whatever_comes_along_names_some_key_or_none(text: str) -> None:
    assert 0 <= key_named(text) <= 0xFFFF


@pytest.mark.parametrize("octets", [0, 1, 32, 63, 64, 65, 200])
def test_the_seal_is_an_hmac_with_sha256(octets: int) -> None:
    secret = bytes(range(octets))
    token = Token(TokenKind.CLICK, DeliveryId(7), 3, "https://example.com/", 1)
    text = mint(token, secret)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    sealed = hmac.digest(secret, b"pillarbox/tracking/1\0" + data[:-16], "sha256")
    assert data[-16:] == sealed[:16]
