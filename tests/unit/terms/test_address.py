"""addresses are read once, strictly, and their local part is never touched"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.terms.address import Address, InvalidAddress, parse_address, parse_mailbox


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("a@example.com", "a", "example.com"),
        ("MiXed@EXAMPLE.com", "MiXed", "example.com"),
        ("first.last+tag@example.com", "first.last+tag", "example.com"),
        ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~", "example.com"),
        ("a%b@example.com", "a%b", "example.com"),
        ("a!b@example.com", "a!b", "example.com"),
        ("a@localhost", "a", "localhost"),
        ("a@[127.0.0.1]", "a", "[127.0.0.1]"),
        ("a@[ipv6:::1]", "a", "[IPv6:::1]"),
        ("a@bücher.example", "a", "xn--bcher-kva.example"),
        ("ü@example.com", "ü", "example.com"),
        ("می\u200cخواهم@example.com", "می\u200cخواهم", "example.com"),
        ('"a b"@example.com', '"a b"', "example.com"),
        ('"a\\"b"@example.com', '"a\\"b"', "example.com"),
        ('"a\\\\"@example.com', '"a\\\\"', "example.com"),
        ('"@"@example.com', '"@"', "example.com"),
        ('"a..b"@example.com', '"a..b"', "example.com"),
        ('""@example.com', '""', "example.com"),
        ('"ü ü"@example.com', '"ü ü"', "example.com"),
        ("a" * 64 + "@example.com", "a" * 64, "example.com"),
        ("a" * 64 + "@" + "a." * 127 + "b", "a" * 64, "a." * 127 + "b"),
    ],
)
def test_an_address_is_its_local_part_and_its_folded_domain(
    text: str, local: str, domain: str
) -> None:
    address = parse_address(text)
    assert (address.local, address.domain) == (local, domain)
    assert address.text == str(address) == f"{local}@{domain}"
    assert parse_address(address.text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has an @"),
        ("a", "has an @"),
        ("@example.com", "nothing before the @"),
        ("a@", "domain is missing"),
        ("a@b@example.com", "more than one @"),
        ("a b@example.com", "space"),
        ("a..b@example.com", "two in a row"),
        (".a@example.com", "begins or ends with a dot"),
        ("a.@example.com", "begins or ends with a dot"),
        ("a@x..y", "between its dots"),
        ("a@x:2525", "letters, digits"),
        ("a@xn--", "letters, digits"),
        ("a@127.0.0.1", "end in a number"),
        ("a@[127.0.0.999]", "no IP address"),
        ("a@example.com\r\nRCPT TO:<v@example.com>", "control character"),
        ("a\r\n@example.com", "control character"),
        ("a\0b@example.com", "control character"),
        ("a\x1b[2J@example.com", "control character"),
        ("a\x7f@example.com", "control character"),
        ("a@example.com> SIZE=1", "letters, digits"),
        ("<a@example.com>", "only allowed inside quotes"),
        ("Ann <a@example.com>", "space|only allowed"),
        ("a(comment)@example.com", "only allowed inside quotes"),
        ("a,b@example.com", "only allowed inside quotes"),
        ('a"b@example.com', "only allowed inside quotes"),
        ('"a"b@example.com', "does not end with a quote"),
        ('"@example.com', "does not end with a quote"),
        ('"a"b"@example.com', "needs a backslash"),
        ('"a\\"@example.com', "needs a backslash"),
        ('"a\r\nb"@example.com', "control character"),
        ('"a\tb"@example.com', "control character"),
        ("a" * 65 + "@example.com", "64 octets"),
        ("ü" * 33 + "@example.com", "64 octets"),
        ("a\u0085b@example.com", "control character"),
        ("a\u2028b@example.com", "control character"),
        ("a\u00a0b@example.com", "odd space"),
        ('"ü\u2028"@example.com', "control character"),
        ("a\ud800@example.com", "half a character"),
        ("a@" + "b" * 256, "255"),
        ("a" * 1_000_000, "320"),
    ],
)
def test_what_is_no_address_is_refused_and_told_why(text: str, why: str) -> None:
    with pytest.raises(InvalidAddress, match=why):
        parse_address(text)


def test_two_dots_in_a_row_are_told_the_way_out() -> None:
    with pytest.raises(InvalidAddress) as raised:
        parse_address("a..b@example.com")
    assert raised.value.fix is not None
    assert "quotes" in raised.value.fix


@given(st.text(max_size=100))
def test_no_sentence_repeats_what_was_given(text: str) -> None:
    try:
        parse_address("zqx" + text + "@example.com")
    except InvalidAddress as error:
        assert "zqx" not in str(error)


@given(st.text(max_size=80), st.sampled_from(["example.com", "bücher.example", "[127.0.0.1]"]))
def test_any_local_part_is_refused_or_kept_as_it_is(local: str, domain: str) -> None:
    try:
        address = parse_address(f"{local}@{domain}")
    except InvalidAddress:
        return
    assert address.local == local
    assert not set(address.text) & set("\r\n\0")
    assert parse_address(address.text) == address


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@example.com", "", "a@example.com"),
        (" <a@example.com> ", "", "a@example.com"),
        ("Ann <a@example.com>", "Ann", "a@example.com"),
        ("Ann Other<a@example.com>", "Ann Other", "a@example.com"),
        ('"Other, Ann" <a@example.com>', "Other, Ann", "a@example.com"),
        ('"Ann \\"A\\" Other" <a@example.com>', 'Ann "A" Other', "a@example.com"),
        ("Änn Öther <ä@example.com>", "Änn Öther", "ä@example.com"),
        ("Ann < a@example.com >", "Ann", "a@example.com"),
        ("=?utf-8?q?Ann?= <a@example.com>", "=?utf-8?q?Ann?=", "a@example.com"),
        ('<"a b"@example.com>', "", '"a b"@example.com'),
    ],
)
def test_a_mailbox_is_a_name_and_an_address(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == (name, parse_address(address))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has an @"),
        ("Ann", "has an @"),
        ("Ann a@example.com>", "no < before"),
        ("Ann <a@example.com", "only allowed inside quotes|space"),
        ("Ann <>", "has an @"),
        ('"Ann <a@example.com>', "opening quote only"),
        ('" <a@example.com>', "opening quote only"),
        ("Ann\r\nBcc: v@example.com <a@example.com>", "control character"),
        ("Ann\0 <a@example.com>", "control character"),
        ("Ann\u2028Bcc <a@example.com>", "control character"),
        ("<x@example.com> <a@example.com>", "more than one address"),
        ("a" * 3000 + "<a@example.com>", "too long"),
    ],
)
def test_what_is_no_mailbox_is_refused_and_told_why(text: str, why: str) -> None:
    with pytest.raises(InvalidAddress, match=why):
        parse_mailbox(text)


def test_addresses_compare_by_what_they_say() -> None:
    assert parse_address("a@EXAMPLE.com") == Address("a", "example.com")
    assert parse_address("A@example.com") != Address("a", "example.com")
