from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.diff import MOST_FIELDS, MOST_PARTS, Difference, Fate, differ
from pillarbox.message.downgrade import downgrade

RELATED = (
    b"From: a@example.com\r\nSubject: One\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/related; boundary=b\r\n\r\nA preamble\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>caf\xc3\xa9</p>\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-ID: <one>\r\n\r\n1111\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-ID: <two>\r\n\r\n2222\r\n"
    b"--b--\r\nbehind\r\n"
)


def fates(told: Difference) -> list[tuple[str, Fate]]:
    return [(part.place, part.fate) for part in told.parts]


def test_a_message_that_stays_is_the_same_in_all_its_parts() -> None:
    told = differ(RELATED, RELATED)
    assert told.same
    assert fates(told) == [("1.1", Fate.SAME), ("1.2", Fate.SAME), ("1.3", Fate.SAME)]
    assert told.parts[0].words == "stays as it came, octet for octet"
    assert told.parts[1].digest_before == hashlib.sha256(b"1111").hexdigest()


def test_only_the_part_that_was_changed_is_told_as_changed() -> None:
    told = differ(RELATED, RELATED.replace(b"<p>", b"<p style='x'>"))
    assert fates(told)[0] == ("1.1", Fate.CHANGED)
    assert told.parts[0].words == "is different in 1 place"
    assert told.parts[0].passages[0].after == "<p style='x'>"
    assert [fate for _, fate in fates(told)[1:]] == [Fate.SAME, Fate.SAME]
    assert not told.same


@pytest.mark.parametrize(("gone", "place"), [(b"one", "1.2"), (b"two", "1.3")])
def test_a_part_that_was_taken_out_is_named_and_its_neighbours_stay(
    gone: bytes, place: str
) -> None:
    start = RELATED.index(b"--b\r\nContent-Type: image/png\r\nContent-ID: <" + gone)
    end = RELATED.index(b"--b", start + 3)
    told = differ(RELATED, RELATED[:start] + RELATED[end:])
    assert [place for place, fate in fates(told) if fate is Fate.REMOVED] == [place]
    assert [fate for _, fate in fates(told)].count(Fate.SAME) == 2
    assert told.parts[int(place[-1]) - 1].words == "no longer travels with the message"


def test_a_part_that_was_put_in_is_new() -> None:
    told = differ(RELATED, RELATED.replace(b"--b--", b"--b\r\n\r\nhello\r\n--b--"))
    assert fates(told)[-1] == ("1.4", Fate.ADDED)


def test_a_part_in_another_encoding_is_rewritten_and_means_the_same() -> None:
    told = differ(RELATED, downgrade(RELATED))
    first = told.parts[0]
    assert first.fate is Fate.REWRITTEN
    assert first.words.endswith("readers see the same")
    assert first.encoding_after == "quoted-printable"
    assert [(each.fate, each.name) for each in first.fields] == [
        (Fate.ADDED, "Content-Transfer-Encoding")
    ]
    assert not first.passages


def test_text_around_the_parts_counts_as_well() -> None:
    told = differ(RELATED, RELATED.replace(b"A preamble", b"Another"))
    assert fates(told)[0] == ("1", Fate.CHANGED)
    told = differ(RELATED, RELATED.replace(b"behind", b"before"))
    assert fates(told)[0] == ("1", Fate.CHANGED)


def test_fields_are_told_as_added_removed_or_changed() -> None:
    before = b"Received: one\r\nBcc: x@example.com\r\nSubject: One\r\n\r\nHi\r\n"
    after = b"DKIM-Signature: v=1\r\nReceived: two\r\nReceived: one\r\nSubject: Two\r\n\r\nHi\r\n"
    told = differ(before, after)
    assert [(each.fate, each.name, each.before, each.after) for each in told.fields] == [
        (Fate.ADDED, "DKIM-Signature", "", "v=1"),
        (Fate.ADDED, "Received", "", "two"),
        (Fate.CHANGED, "Subject", "One", "Two"),
        (Fate.REMOVED, "Bcc", "x@example.com", ""),
    ]
    assert told.parts[0].fate is Fate.SAME


def test_field_values_are_decoded_unfolded_and_cut() -> None:
    before = b"Subject: =?utf-8?q?caf=C3=A9?=\r\nX: 1\r\n\r\n"
    told = differ(before, b"X: 1\r\nY: a\r\n b" + b"c" * 5000 + b"\r\n\r\n")
    assert told.fields[0].after.startswith("a bccc")
    assert len(told.fields[0].after) < 400
    assert told.fields[1].before == "café"


def test_what_cannot_be_decoded_or_is_no_text_is_told_without_passages() -> None:
    coded = b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-odd\r\n\r\n<p>\r\n"
    (part,) = differ(coded, coded.replace(b"<p>", b"<b>")).parts
    assert part.words == "is different, and cannot be decoded"
    image = b"Content-Type: image/png\r\n\r\nabc"
    (part,) = differ(image, image + b"d").parts
    assert (part.words, part.passages) == ("is different", ())


def test_a_text_that_is_too_large_is_not_laid_side_by_side() -> None:
    before = b"Content-Type: text/plain\r\n\r\n" + b"a" * 3_000_000
    (part,) = differ(before, before + b"b").parts
    assert part.words == "is different, and too large to be shown"


def test_fields_and_parts_beyond_the_bounds_are_counted() -> None:
    fields = b"".join(b"X-%d: 1\r\n" % n for n in range(MOST_FIELDS + 7))
    told = differ(fields + b"\r\n", b"\r\n")
    assert (len(told.fields), told.more_fields) == (MOST_FIELDS, 7)
    parts = b"--b\r\n\r\nx\r\n" * (MOST_PARTS + 5)
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    told = differ(many, many)
    assert (len(told.parts), told.more_parts) == (MOST_PARTS, 5)


def test_a_structure_that_is_too_complex_is_said_to_be_so() -> None:
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 60
    told = differ(deep, deep)
    assert told.parts == ()
    assert "levels" in told.remarks[0]
    assert "not what came" in differ(deep, deep + b"x").remarks[0]


def test_a_header_that_no_door_would_take_is_told_by_its_length() -> None:
    before = b"A: b\r\n" * 200_000 + b"\r\n"
    (field,) = differ(before, b"\r\n").fields
    assert (field.name, field.before, field.after) == ("", "1200002 octets", "2 octets")


@given(st.binary(max_size=200))
def test_any_octets_are_the_same_as_themselves(content: bytes) -> None:
    assert differ(content, content).same


@given(st.sampled_from(range(len(RELATED))), st.integers(1, 255))
def test_whatever_octet_of_a_message_is_another_something_is_told(at: int, by: int) -> None:
    after = bytearray(RELATED)
    after[at] ^= by
    assert not differ(RELATED, bytes(after)).same
