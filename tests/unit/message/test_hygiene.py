from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.message.errors import HeaderTooLong, NoAuthor, TooManyHops
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.hygiene import MAX_HOPS, Tidied, format_message_id, tidy

TRACE = b"Received: by mail.example.com id msg_1;\r\n\tFri, 20 Nov 2026 16:10:00 +0000\r\n"
WHOLE = (
    b"Date: Thu, 19 Nov 2026 08:00:00 +0100\r\n"
    b'From: "Example Shop" <shop@example.com>\r\n'
    b"Message-ID: <abc@example.com>\r\n"
    b"Subject: =?utf-8?q?Your?=\r\n\torder\r\n"
    b"\r\n"
    b"Hello\r\n\r\n.\r\nBcc: not a header\r\n"
)


def tidied(head: bytes, **changes: Any) -> Tidied:
    return tidy(
        head,
        **{
            "message_id": "msg_1",
            "now_ms": 1_795_191_000_000,
            "hostname": "mail.example.com",
            "received": TRACE,
            "relays": False,
            "return_path": "ann@example.com",
        }
        | changes,
    )


def fields(head: bytes) -> list[bytes]:
    return [field.name for field in HeaderBlock.parse(head).fields]


# --- what stays ------------------------------------------------------------------------------------


def test_a_whole_message_gets_its_trace_field_and_nothing_else():
    assert tidied(WHOLE).head == TRACE + WHOLE


NAMES = st.sampled_from(
    ["From", "Subject", "To", "Bcc", "bcc ", "X-SMTPeter-Tags", "X-Pillarbox-x", "Received", "Date"]
    + ["Resent-Bcc", "message-id", "X-Other", "Bccx", "no field", "", " lead"]
)
VALUES = st.text("ab @<>,:\t\xe9", max_size=12)
LINES = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=8).map(
    lambda rows: "".join(
        f"{name}{':' if name != 'no field' else ''}{value}\r\n{' folded' + chr(13) + chr(10) if more else ''}"
        for name, value, more in rows
    ).encode("latin-1")
)
BODY = st.text("ab.\r\n :", max_size=40).map(
    lambda text: text.replace("\r", "").replace("\n", "\r\n").encode()
)


@given(LINES, BODY)
@example(b"", b"")
@example(b"\r\n", b"x")
def test_the_body_is_identical_and_other_fields_keep_their_bytes(header: bytes, body: bytes):
    try:
        result = tidied(header + b"\r\n" + body)
    except NoAuthor:
        assert b"from" in header.lower()
        return
    assert result.head.endswith(b"\r\n" + body)
    section, rest = result.head[: result.header_bytes], result.head[result.header_bytes :]
    assert section.endswith(b"\r\n")
    assert split_content(result.head) == (section, rest)
    kept = HeaderBlock.parse(section)
    assert all(field.name for field in kept.fields), "no line that is no field is left among them"
    for field in kept.fields[1:]:
        name = field.name.lower()
        assert name not in (b"bcc", b"resent-bcc")
        assert not name.startswith((b"x-smtpeter-", b"x-pillarbox-"))
        assert field.raw in header or name in (b"date", b"message-id", b"from")
    assert kept.get("Date") is not None
    assert kept.get("From") is not None
    assert result.eight_bit_header == (not section.isascii())


@given(LINES, BODY)
def test_tidying_twice_changes_only_the_trace(header: bytes, body: bytes):
    try:
        once = tidied(header + b"\r\n" + body)
    except NoAuthor:
        return
    if once.message_id and HeaderBlock.parse(once.head).get("message-id"):
        assert tidied(once.head).head == TRACE + once.head


def test_content_behind_the_header_is_not_looked_at():
    head = WHOLE + b"\xff\0" + b"x" * 300_000
    assert tidied(head).head == TRACE + head


# --- what leaves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"Bcc", b"BCC", b"bcc ", b"bCc\t", b"Resent-Bcc"])
def test_blind_copies_leave_with_all_their_lines(name: bytes):
    head = name + b": v@example.com,\r\n\tw@example.com\r\n" + WHOLE
    assert tidied(head).head == TRACE + WHOLE


def test_a_blind_copy_in_last_place_leaves_too():
    head = WHOLE.replace(b"\r\n\r\nHello", b"\r\nBcc: v@example.com\r\n\r\nHello")
    assert tidied(head).head == TRACE + WHOLE


def test_names_that_only_resemble_stay():
    head = b"Bccx: a\r\nX-Bcc: b\r\nX-SMTPeter: c\r\n" + WHOLE
    assert tidied(head).head == TRACE + head


def test_option_headers_leave_known_or_not_and_are_handed_on():
    head = (
        b"X-SMTPeter-TrackClicks: true\r\nx-pillarbox-tags: a,\r\n b\r\nX-SMTPETER-Unknown:\r\n"
        b"X-Pillarbox-Tags : c\r\nx-smtpeter-: \xc3\xa9\r\nX-Pillarbox-Bcc: d\r\n"
    )
    result = tidied(head + WHOLE)
    assert result.head == TRACE + WHOLE
    assert result.options == [
        ("x-smtpeter-trackclicks", "true"),
        ("x-pillarbox-tags", "a, b"),
        ("x-smtpeter-unknown", ""),
        ("x-pillarbox-tags", "c"),
        ("x-smtpeter-", "é"),
        ("x-pillarbox-bcc", "d"),
    ]


def test_option_headers_leave_a_relayed_message_as_well():
    result = tidied(b"X-SMTPeter-Tags: a\r\n" + WHOLE, relays=True)
    assert result.head == TRACE + WHOLE
    assert result.options == [("x-smtpeter-tags", "a")]


@pytest.mark.parametrize("line", [b"From ann@example.com Fri Nov 20 16:10:00 2026", b">From x"])
def test_the_line_of_a_mailbox_file_leaves(line: bytes):
    assert tidied(line + b"\r\n" + WHOLE).head == TRACE + WHOLE


def test_a_from_field_is_no_line_of_a_mailbox_file():
    assert tidied(b"From : ann@example.com\r\n\r\n").author == "ann@example.com"


def test_a_mailbox_line_alone_is_a_body():
    assert tidied(b"From nowhere").head.endswith(b"\r\n\r\nFrom nowhere")


# --- what is added ---------------------------------------------------------------------------------


def test_date_and_message_id_are_added_below_the_trace():
    head = tidied(b"From: ann@example.com\r\n\r\nHello\r\n").head
    assert head == TRACE + (
        b"Message-ID: <msg_1@mail.example.com>\r\n"
        b"Date: Fri, 20 Nov 2026 16:10:00 +0000\r\n"
        b"From: ann@example.com\r\n\r\nHello\r\n"
    )


def test_only_what_is_missing_is_added():
    given = {b"Date": b"x", b"message-id": b"<a@b>", b"FROM": b"bob@example.com"}
    for name, value in given.items():
        added = [b"Message-ID", b"Date", b"From"]
        added = [one for one in added if one.lower() != name.lower()]
        head = tidied(name + b": " + value + b"\r\n\r\n").head
        assert fields(head) == [b"Received", *added, name]


@pytest.mark.parametrize(
    "return_path", ["ann@example.com", '"a b"@example.com', "jörg@example.com"]
)
def test_who_does_not_say_from_whom_it_is_answers_with_the_return_path(return_path: str):
    result = tidied(b"Subject: x\r\n\r\nHello\r\n", return_path=return_path)
    assert f"\r\nFrom: {return_path}\r\nSubject: x\r\n".encode() in result.head
    assert (result.author, result.authors) == (return_path, (return_path,))


def test_a_from_field_in_the_body_is_none():
    result = tidied(b"Subject: x\r\nno field\r\nFrom: eve@example.com\r\n\r\n")
    assert result.authors == ("ann@example.com",)


def test_what_is_relayed_is_not_completed():
    for head in (
        b"From: ann@example.com\r\n\r\nHello\r\n",
        b"Subject: x\r\nBcc: v@example.com\r\nResent-Bcc: w@example.com\r\n\r\nHello\r\n",
        b"From: nobody\r\n\r\nHello\r\n",
    ):
        result = tidied(head, relays=True)
        assert result.head == TRACE + head
        assert result.message_id == b""
    assert result.authors == ("nobody",)


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (b"Subject: x\r\n", b"Subject: x\r\n\r\n"),
        (b"Subject: x", b"Subject: x\r\n\r\n"),
        (b"Subject: x\r\n y", b"Subject: x\r\n y\r\n\r\n"),
        (b"", b"\r\n"),
        (b"\r\nbody", b"\r\nbody"),
        (b"hello\r\n", b"\r\nhello\r\n"),
        (b"hello", b"\r\nhello"),
        (b" leading blank: x\r\n\r\n", b"\r\n leading blank: x\r\n\r\n"),
        (b"\tx\r\n\r\n", b"\r\n\tx\r\n\r\n"),
        (b"A: b\r\nHi there: all\r\n\r\nx", b"A: b\r\n\r\nHi there: all\r\n\r\nx"),
        (b"A: b\r\n: x\r\n\r\n", b"A: b\r\n\r\n: x\r\n\r\n"),
        (b"A: b\r\n\xfc: x\r\n\r\n", b"A: b\r\n\r\n\xfc: x\r\n\r\n"),
    ],
)
def test_a_header_section_always_ends_in_a_blank_line(content: bytes, stored: bytes):
    result = tidied(content, relays=True)
    assert result.head == TRACE + stored
    assert (
        result.header_bytes == len(TRACE) + stored.index(b"\r\n\r\n") + 4
        if (not stored.startswith(b"\r\n"))
        else result.header_bytes == len(TRACE) + 2
    )


def test_a_blind_copy_behind_a_line_that_is_no_field_is_body():
    result = tidied(b"A: b\r\nno field\r\nBcc: v@example.com\r\n\r\n", relays=True)
    assert result.head == TRACE + b"A: b\r\n\r\nno field\r\nBcc: v@example.com\r\n\r\n"


# --- what is read ----------------------------------------------------------------------------------


def test_author_subject_and_id_are_read_on_the_way():
    result = tidied(WHOLE)
    assert result.author == "shop@example.com"
    assert result.authors == ("shop@example.com",)
    assert result.subject == b"=?utf-8?q?Your?=\torder"
    assert result.message_id == b"<abc@example.com>"
    assert result.header_bytes == len(TRACE) + WHOLE.index(b"Hello")
    assert not result.eight_bit_header


def test_every_author_is_told_of():
    head = b"From: a@example.com, b@example.com\r\nFROM: c@example.com\r\n\r\n"
    result = tidied(head)
    assert result.author == "a@example.com"
    assert result.authors == ("a@example.com", "b@example.com", "c@example.com")


def test_a_message_without_author_or_subject_has_none():
    result = tidied(b"To: x@example.com\r\n\r\n", relays=True)
    assert (result.author, result.authors, result.subject) == ("", (), b"")


def test_the_first_subject_and_id_count():
    result = tidied(b"Subject: a\r\nSubject: b\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n")
    assert (result.subject, result.message_id) == (b"a", b"<1@x>")


def test_a_header_outside_ascii_is_told_of_and_a_body_is_not():
    assert tidied("Subject: Grüße\r\n\r\n".encode()).eight_bit_header
    assert not tidied("Subject: x\r\n\r\nGrüße".encode()).eight_bit_header
    assert not tidied("X-SMTPeter-Tags: Grüße\r\n\r\n".encode()).eight_bit_header


@pytest.mark.parametrize(
    ("local", "whole"),
    [("msg_1", b"<msg_1@h.example>"), ("a@b", b"<a@b>"), ("<a@b>", b"<a@b>")],
)
def test_a_message_id_is_completed_by_the_host(local: str, whole: bytes):
    assert format_message_id(local, "h.example") == whole


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", [b"From: ann", b"From:", b"From: Ann <ann>", b"From: undisclosed:;", b"From: (a@b)"]
)
def test_an_author_without_a_domain_is_not_guessed_at(field: bytes):
    with pytest.raises(NoAuthor, match="no address with a domain"):
        tidied(field + b"\r\nSubject: x\r\n\r\n")


def test_one_author_with_a_domain_is_enough():
    """An unquoted comma in a name makes two of one, and everybody else lets it pass."""
    result = tidied(b"From: Shop, Example <shop@example.com>\r\n\r\n")
    assert result.authors[-1] == "shop@example.com"


def test_without_a_return_path_nobody_answers_for_a_message_without_author():
    with pytest.raises(NoAuthor, match="return path is empty"):
        tidied(b"Subject: x\r\n\r\n", return_path="")
    assert tidied(WHOLE, return_path="").head == TRACE + WHOLE


def test_a_message_that_goes_in_circles_is_refused():
    loops = b"Received: from a by b\r\n" * MAX_HOPS
    assert tidied(loops + WHOLE).head == TRACE + loops + WHOLE
    with pytest.raises(TooManyHops, match="51 servers"):
        tidied(b"received : x\r\n" + loops + WHOLE)


def test_the_number_of_hops_can_be_set():
    with pytest.raises(TooManyHops):
        tidied(b"Received: a\r\nReceived: b\r\n\r\n", max_hops=1)


@pytest.mark.parametrize("ending", [b"\r\n\r\nbody", b"\r\n", b""])
def test_a_header_section_beyond_the_limit_is_refused(ending: bytes):
    with pytest.raises(HeaderTooLong, match="longer than 1000 bytes"):
        tidied(b"A: " + b"x" * 998 + ending, max_header_bytes=1000)


def test_one_byte_beyond_the_limit_is_too_much():
    with pytest.raises(HeaderTooLong):
        tidied(b"A: " + b"x" * 996 + b"\r\n\r\nbody", max_header_bytes=1000)


@pytest.mark.parametrize("fields", [b"", b"A: x\r\n", b"A: " + b"x" * 995 + b"\r\n"])
def test_what_follows_a_line_that_is_no_field_does_not_count_as_header(fields: bytes):
    text = b"just words\r\n" * 500
    found = tidied(fields + text, max_header_bytes=1000, relays=True)
    assert found.head == TRACE + fields + b"\r\n" + text


@pytest.mark.parametrize("text", [b"just words\r\n" * 500, b"just words\r\n\r\n" + b"x" * 2000])
def test_a_line_that_is_no_field_is_too_late_beyond_the_limit(text: bytes):
    with pytest.raises(HeaderTooLong):
        tidied(b"A: " + b"x" * 996 + b"\r\n" + text, max_header_bytes=1000)


@pytest.mark.parametrize("ending", [b"\r\n\r\nbody", b"\r\n"])
def test_a_header_section_of_just_the_limit_is_taken(ending: bytes):
    head = b"A: " + b"x" * 995 + ending
    assert tidied(head, max_header_bytes=1000, relays=True).head.startswith(TRACE + b"A: xxx")


@pytest.mark.parametrize(
    "section",
    [
        b"a:\r\n" * 16_000,
        b"From: a@b\r\n" * 5_900,
        b"From: " + b"a@b," * 16_000 + b"\r\n",
        b"From: " + b" " * 65_000 + b"\r\n",
        b"A:\r\n " + b" \r\n " * 16_000 + b"\r\n",
        b"x" * 65_000,
        b"x-pillarbox-a:\r\n" * 4_000,
        b"a" + b" " * 65_000 + b":\r\n",
    ],
)
def test_hostile_headers_cost_little(section: bytes, cpu_seconds):
    with cpu_seconds(0.5), suppress(NoAuthor):
        tidied(section + b"\r\nbody")
