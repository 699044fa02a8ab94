"""domain names become one form that can be compared"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.terms.hostname import (
    InvalidHostname,
    display_domain,
    is_domain,
    parse_domain,
    parse_literal,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("localhost", "localhost"),
        ("3com.example", "3com.example"),
        ("a-b.c--d.example", "a-b.c--d.example"),
        ("my_host.example.com", "my_host.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--i-7iq.example", "xn--i-7iq.example"),
        ("a." * 127 + "b", "a." * 127 + "b"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_domain_is_folded_to_a_labels_in_lower_case(text: str, folded: str) -> None:
    assert parse_domain(text) == folded
    assert parse_domain(folded) == folded
    assert is_domain(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing"),
        (".", "dot at its end"),
        ("example.com.", "dot at its end"),
        (".example.com", "between its dots"),
        ("a..b", "between its dots"),
        ("-a.example", "letters, digits"),
        ("a-.example", "letters, digits"),
        ("a.-b", "letters, digits"),
        ("a.example-", "letters, digits"),
        ("exa mple.com", "letters, digits"),
        ("example.com:2525", "letters, digits"),
        ("example.com\r\n", "letters, digits"),
        ("example.com\0", "letters, digits"),
        ("a@b", "letters, digits"),
        ("[127.0.0.1]", "letters, digits"),
        ("127.0.0.1", "end in a number"),
        ("1", "end in a number"),
        ("a" * 64 + ".example", "63"),
        ("a." * 127 + "bc", "255"),
        ("a" * 1_000_000, "255"),
        ("xn--", "letters, digits"),
        ("xn--.example", "letters, digits"),
        ("xn--abc-.example", "letters, digits"),
        ("xn--99999999.example", "does not decode"),
        ("ü" * 200, "too long"),
        ("bü\u2028cher.example", "no domain name"),
        ("a\u0085b.example", "no domain name"),
        ("☃@.example", "letters, digits|no domain name"),
        ("①.①", "end in a number"),
    ],
)
def test_what_is_no_domain_is_refused_and_told_why(text: str, why: str) -> None:
    with pytest.raises(InvalidHostname, match=why):
        parse_domain(text)
    assert not is_domain(text)


@given(st.text(max_size=300))
def test_any_text_is_a_domain_or_refused_and_folding_is_done_once(text: str) -> None:
    try:
        folded = parse_domain(text)
    except InvalidHostname:
        return
    assert folded.isascii()
    assert folded == folded.lower()
    assert not set(folded) & set(' @<>[]:;,"\\\r\n\0')
    assert parse_domain(folded) == folded


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("[127.0.0.1]", "[127.0.0.1]"),
        ("[IPv6:::1]", "[IPv6:::1]"),
        ("[ipv6:2001:DB8:0:0::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_an_address_literal_has_one_form(text: str, canonical: str) -> None:
    assert parse_literal(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "127.0.0.1",
        "[127.0.0.1",
        "127.0.0.1]",
        "[127.1]",
        "[127.0.0.256]",
        "[127.0.0.1 ]",
        "[::1]",
        "[IPv6:]",
        "[IPv6:127.0.0.1]",
        "[IPv6:fe80::1%eth0]",
        "[x:y]",
        "[١٢٧.0.0.1]",
        "[" + "1" * 1000 + "]",
    ],
)
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(InvalidHostname, match=r"literal|IP address"):
        parse_literal(text)


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        ("example.com", "example.com"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("mail.xn--bcher-kva.example", "mail.bücher.example"),
        ("xn--99999999.example", "xn--99999999.example"),
        ("xn--i-7iq.xn--bcher-kva.example", "xn--i-7iq.bücher.example"),
        ("xn--" * 100, "xn--" * 100),
        ("[127.0.0.1]", "[127.0.0.1]"),
    ],
)
def test_a_domain_is_shown_as_people_write_it_where_that_is_possible(
    domain: str, shown: str
) -> None:
    assert display_domain(domain) == shown
