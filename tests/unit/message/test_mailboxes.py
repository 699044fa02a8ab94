from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.mailboxes import Mailbox, addresses_in, format_mailboxes
from pillarbox.message.words import decode_words

NAME = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60)

# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b"ann@example.com", ["ann@example.com"]),
        (b"<ann@example.com>", ["ann@example.com"]),
        (b"Ann Example <ann@example.com>", ["ann@example.com"]),
        (b'"Example, Ann" <ann@example.com>', ["ann@example.com"]),
        (b'"Ann \\"the\\" Example" <ann@example.com>', ["ann@example.com"]),
        (b"=?utf-8?q?J=C3=B6rg?= <j@example.com>", ["j@example.com"]),
        (b"ann@example.com (Ann)", ["ann@example.com"]),
        (b"(a (nested) comment) ann@example.com", ["ann@example.com"]),
        (b"(a \\( b) ann@example.com", ["ann@example.com"]),
        (b"ann@example.com (never closed", ["ann@example.com"]),
        (
            b"a@example.com, B <b@example.com>,\r\n c@example.com",
            ["a@example.com", "b@example.com", "c@example.com"],
        ),
        (
            b"Team: a@example.com, b@example.com; c@example.com",
            ["a@example.com", "b@example.com", "c@example.com"],
        ),
        (b"undisclosed-recipients:;", []),
        (b"<@a.example,@b.example:ann@example.com>", ["ann@example.com"]),
        (b"<ann (really) @example.com>", ["ann@example.com"]),
        (b"ann @ example.com", ["ann@example.com"]),
        (b'"ann example"@example.com', ['"ann example"@example.com']),
        (b'<"a@b c"@example.com>', ['"a@b c"@example.com']),
        (b'"a@b" @example.com', ['"a@b"@example.com']),
        (b"ann@[IPv6:::1]", ["ann@[IPv6:::1]"]),
        (b"<ann@[127.0.0.1]>", ["ann@[127.0.0.1]"]),
        (b"Ann ann@example.com", ["ann@example.com"]),
        (b'"Ann" ann@example.com', ["ann@example.com"]),
        (b"a@example.com b@example.org", ["a@example.com", "b@example.org"]),
        (b"ann", ["ann"]),
        (b"Ann Example", []),
        (b"<>", []),
        (b"", []),
        (b",,;", []),
        (b"Ann <ann@example.com", ["ann@example.com"]),
        (b"ann@example.com>", ["ann@example.com"]),
        (b"j\xc3\xb6rg@example.com", ["jörg@example.com"]),
        (b'"unclosed <ann@example.com>', []),
    ],
)
def test_addresses_are_found_in_what_people_write(value: bytes, addresses: list[str]):
    assert addresses_in(value) == addresses


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b'"good@example.com" <evil@example.org>', ["evil@example.org"]),
        (b'"good@example.com" evil@example.org', ["evil@example.org"]),
        (b"good@example.com <evil@example.org>", ["evil@example.org"]),
        (b"<good@example.com> <evil@example.org>", ["good@example.com", "evil@example.org"]),
        (b"good@example.com, evil@example.org", ["good@example.com", "evil@example.org"]),
        (b"=?utf-8?q?good=40example.com?= <evil@example.org>", ["evil@example.org"]),
        (b"(good@example.com) evil@example.org", ["evil@example.org"]),
        (b"<good example@example.org>", ["good example@example.org"]),
    ],
)
def test_a_name_cannot_pass_for_the_address(value: bytes, addresses: list[str]):
    assert addresses_in(value) == addresses


ATOM = st.text("ab.=?+-_'\xe9", min_size=1, max_size=10)


@given(st.text("ab .=?<>,@()", max_size=12), st.text("ab .=?\t\xe9", max_size=12), ATOM, ATOM)
def test_the_quick_way_and_the_thorough_way_agree(inside: str, name: str, local: str, domain: str):
    address = f"{local}@{domain}"
    for value in (
        address,
        f"{name}<{address}>",
        f'"{inside}" <{address}>',
        f'"{inside}"<{address}>',
    ):
        # A comment says nothing, and keeps the value from the quick way.
        assert addresses_in(value.encode()) == addresses_in(f"{value} ()".encode()) == [address]


@given(st.binary(max_size=200))
def test_reading_never_raises(value: bytes):
    addresses_in(value)


@pytest.mark.parametrize(
    "bait",
    [
        b"(" * 100_000,
        b" " * 100_000,
        b"a" * 100_000,
        b'"' + b"\\" * 100_000,
        b'"' * 100_000,
        b"<" * 100_000,
        b"[" * 100_000,
        b"a@" * 50_000,
        b'"a" ' * 25_000,
        b"a@example.com," * 10_000,
        b"a" + b" " * 100_000 + b"@b",
        b"\\(" * 50_000,
    ],
)
def test_hostile_fields_cost_linear_time(bait: bytes, cpu_seconds):
    with cpu_seconds(1):
        addresses_in(bait)


# --- writing -------------------------------------------------------------------------------------


def written(*mailboxes: tuple[str, str], used: int = 4) -> bytes:
    return format_mailboxes("to", [Mailbox(*each) for each in mailboxes], used=used)


def test_an_address_alone_stands_bare():
    assert written(("", "ann@example.com")) == b"ann@example.com"


def test_an_ordinary_name_needs_no_quotes():
    assert written(("Ann Example", "ann@example.com")) == b"Ann Example <ann@example.com>"


def test_a_name_with_signs_is_quoted():
    assert written(('Ann "A." Example, \\', "a@example.com")) == (
        b'"Ann \\"A.\\" Example, \\\\" <a@example.com>'
    )


def test_a_foreign_name_is_encoded():
    assert written(("Jörg", "j@example.com")) == b"=?utf-8?q?J=C3=B6rg?= <j@example.com>"


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?q?a,_<evil@example.org>?=",
        "=?utf-8?q?a?= , evil@example.org, =?utf-8?q?b?=",
        "=?utf-8?q?a=0D=0ABcc:_v@x?=",
        '=?utf-8?q?"?=',
        "=? <evil@example.org>",
    ],
)
def test_a_name_that_looks_encoded_cannot_add_a_mailbox(name: str):
    value = written((name, "ann@example.com"))
    assert addresses_in(value) == ["ann@example.com"]
    assert decode_words(value) == f"{name} <ann@example.com>"


def test_a_name_encoded_by_the_caller_is_passed_on():
    assert written(("=?utf-8?q?J=C3=B6rg?= =?utf-8?q?B?=", "j@example.com")) == (
        b"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?B?= <j@example.com>"
    )


def test_a_very_long_name_is_encoded_so_that_it_can_be_folded():
    value = written(("x, " * 100, "ann@example.com"))
    assert max(map(len, value.split(b"\r\n"))) <= 78
    assert decode_words(value) == ("x, " * 100).strip() + " <ann@example.com>"


def test_many_mailboxes_are_folded_behind_commas():
    value = written(*((f"Person {n}", f"person{n}@example.com") for n in range(30)))
    lines = value.split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert len(lines[0]) + 4 <= 78
    assert addresses_in(value) == [f"person{n}@example.com" for n in range(30)]


@given(st.lists(NAME, max_size=8), st.integers(2, 20))
def test_every_list_is_read_back_whole(names: list[str], used: int):
    given_boxes = [(name, f"p{n}@example.com") for n, name in enumerate(names)]
    value = written(*given_boxes, used=used)
    assert value.isascii()
    assert addresses_in(value) == [address for _, address in given_boxes]
    for line in value.split(b"\r\n"):
        assert len(line) + used <= 998
        assert line.strip() or not names
        assert all(c >= 0x20 for c in line)


@given(
    st.lists(
        st.text("abcäö ,.\"\\'@<>", min_size=1, max_size=30).filter(str.strip),
        min_size=1,
        max_size=5,
    )
)
def test_other_readers_find_the_same_mailboxes(names: list[str]):
    value = written(*((name, f"p{n}@example.com") for n, name in enumerate(names)))
    found = email.utils.getaddresses([value.replace(b"\r\n", b"").decode("ascii")])
    assert [address for _, address in found] == [f"p{n}@example.com" for n in range(len(names))]
    shown = [decode_words(name.encode("ascii")) for name, _ in found]
    assert [" ".join(name.split()) for name in shown] == [" ".join(name.split()) for name in names]


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com>\r\nBcc: v@example.org",
        "ann@example.com\r\nDATA",
        "ann@example.com, evil@example.org",
        "Ann <ann@example.com>",
        "ann@example.com> SIZE=1",
        '"a\r\nb"@example.com',
        "@example.com",
        "ann@",
        "ann@example..com",
        "not-an-address",
        "a" * 65 + "@example.com",
        "",
    ],
)
def test_what_is_no_address_is_refused_by_name(address: str):
    with pytest.raises(InvalidHeaderValue) as caught:
        written(("", "x@example.com"), ("Ann", address))
    assert caught.value.field == "to[1].address"


def test_a_line_break_in_a_name_is_refused_by_name():
    with pytest.raises(InvalidHeaderValue) as caught:
        written(("a\r\nBcc: v@x", "ann@example.com"))
    assert caught.value.field == "to.name"


def test_the_domain_is_written_as_a_label_and_the_local_part_as_it_is():
    assert written(("", "MiXed@Bücher.example")) == b"MiXed@xn--bcher-kva.example"


def test_a_foreign_local_part_stays_as_it_is():
    assert written(("", "jörg@example.com")) == "jörg@example.com".encode()
