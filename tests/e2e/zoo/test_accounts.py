"""whatever is not accounted for is seen, be it one octet"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.zoo.accounts import Unaccounted, assert_arrived, below_traces, left
from tests.e2e.zoo.client import Said
from tests.e2e.zoo.letters import BUFFER_BYTES, DOTS, KINDS, ROUND, letter, stuffed

TRACE = (
    b"Received: from client.example.com ([127.0.0.1])\r\n\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
    b"\tby relay.example.com with ESMTPSA id msg_06ZD5DFEC00E%b;\r\n"
    b"\tFri, 20 Mar 2026 09:30:00 +0000\r\n"
)
ADDED = b"Message-ID: <a@relay.example.com>\r\nDate: Fri, 20 Mar 2026 09:30:00 +0000\r\n"
BOB = "bob@example.org"


def arrived(kind: str = "plain", *, recipient: bytes = b"", added: bytes = b"") -> bytes:
    return TRACE % recipient + added + left(letter(kind, "tag").content)


@pytest.mark.parametrize("kind", KINDS)
def test_what_had_to_leave_is_all_that_is_missing(kind: str) -> None:
    content = letter(kind, "tag").content
    remaining = left(content)
    head = remaining.partition(b"\r\n\r\n")[0].lower()
    assert b"bcc" not in head and b"x-pillarbox" not in head
    assert len(content) - len(remaining) == len(
        f"Bcc: Hidden\r\n <{letter(kind, 'tag').hidden}>\r\nX-Pillarbox-Tags: zoo\r\n"
    )
    added = ADDED if kind == "undated" else b""
    assert_arrived(arrived(kind, added=added), Said(content), (BOB, "c@d.example"), utf8=False)


def test_the_trace_field_may_name_a_recipient_who_is_alone() -> None:
    content = letter("plain", "tag").content
    said = arrived(recipient=f"\r\n\tfor <{BOB}>".encode())
    assert_arrived(said, Said(content), (BOB,), utf8=False)
    with pytest.raises(Unaccounted, match="tells"):
        assert_arrived(said, Said(content), (BOB, "c@d.example"), utf8=False)
    with pytest.raises(Unaccounted, match="tells"):
        assert_arrived(said, Said(content), ("c@d.example",), utf8=False)


def _with_bcc(content: bytes) -> bytes:
    return content.replace(b"Subject:", b"Bcc: <hidden@example.org>\r\nSubject:", 1)


def _with_another_field(content: bytes) -> bytes:
    return content.replace(b"Subject:", b"X-Added: 1\r\nSubject:", 1)


@pytest.mark.parametrize(
    "changed",
    [
        lambda content: content[len(TRACE % b"") :],
        lambda content: content.replace(b"ESMTPSA", b"ESMTPA", 1),
        lambda content: content.replace(b"msg_06ZD", b"06ZD", 1),
        lambda content: content + b"\r\n",
        lambda content: content[:-2],
        lambda content: content.replace(b"goes on  \r\n", b"goes on\r\n"),
        lambda content: content.replace(b"Subject: tag", b"subject: tag"),
        lambda content: content.replace(b"\r\n\r\nDear", b"\r\nDear"),
        _with_bcc,
        _with_another_field,
    ],
)
def test_anything_else_that_differs_is_unaccounted_for(changed: Callable[[bytes], bytes]) -> None:
    content = letter("plain", "tag").content
    with pytest.raises(Unaccounted):
        assert_arrived(changed(arrived()), Said(content), (BOB,), utf8=False)


def test_date_and_message_id_are_added_where_there_were_none_and_only_there() -> None:
    undated, dated = letter("undated", "tag").content, letter("plain", "tag").content
    with pytest.raises(Unaccounted, match="owed"):
        assert_arrived(arrived("undated"), Said(undated), (BOB,), utf8=False)
    with pytest.raises(Unaccounted):
        assert_arrived(arrived(added=ADDED), Said(dated), (BOB,), utf8=False)


def test_a_relay_s_own_trace_field_is_expected_of_a_relay() -> None:
    own = b"Received: by relay.example.org with local;\r\n\tFri, 20 Mar 2026 09:30:00 +0000\r\n"
    content = letter("plain", "tag").content
    assert_arrived(arrived(added=own), Said(content, traces=1), (BOB,), utf8=False)
    with pytest.raises(Unaccounted, match="trace fields on top"):
        below_traces(content, 1)


def test_every_place_in_a_round_of_dots_comes_to_lie_at_the_end_of_a_buffer() -> None:
    turn = len(stuffed(ROUND))
    begins = len(stuffed(DOTS[: DOTS.index(ROUND)]))
    ends = range(begins, len(stuffed(DOTS)), BUFFER_BYTES)
    assert {(end - begins) % turn for end in ends} == set(range(turn))
