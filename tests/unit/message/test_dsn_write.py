from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.dsn_write import (
    MAX_RETURNED_BYTES,
    Action,
    Notice,
    RecipientReport,
    write_dsn,
)
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.header import HeaderBlock, decode_words, split_content
from pillarbox.message.mailboxes import Mailbox

NOW = 1_795_191_000_000
CONTENT = (
    b"Received: by mail.example.com id msg_1\r\n"
    b"From: ann@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <a@b>\r\n"
    b"\r\nHello\r\n\r\n--x\r\n"
)
BOB = RecipientReport(
    "bob@example.org",
    Action.FAILED,
    "5.1.1",
    original="rfc822;b+c@example.com",
    remote_mta="mx.example.org",
    reply="550 5.1.1 No such user",
    attempted_at=NOW - 1000,
)


def written(*recipients: RecipientReport, **changes: Any) -> bytes:
    usual: dict[str, Any] = {
        "message_id": "ntc_1@mail.example.com",
        "at": NOW,
        "hostname": "mail.example.com",
        "to": "ann@example.com",
        "recipients": recipients or (BOB,),
        "content": CONTENT,
        "arrived_at": NOW - 60_000,
        "name": "msg_1",
    }
    return write_dsn(Notice(**(usual | changes)))


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def parts(content: bytes) -> list[Message]:
    return [part for part in read(content).iter_parts() if isinstance(part, Message)]


def groups(content: bytes) -> list[Message]:
    """The groups of fields of the status part, as an independent reader finds them."""
    found = parts(content)[1].get_payload()
    assert isinstance(found, list)
    return [group for group in found if isinstance(group, Message)]


# --- form ------------------------------------------------------------------------------------------


def test_it_is_a_report_of_three_parts():
    message = read(written())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_its_header_marks_it_as_automatic_and_answers_the_message():
    block = HeaderBlock.parse(split_content(written())[0])
    assert block.get("From") == b"Mail delivery <MAILER-DAEMON@mail.example.com>"
    assert block.get("To") == b"ann@example.com"
    assert block.get("Auto-Submitted") == b"auto-replied"
    assert block.get("Message-ID") == b"<ntc_1@mail.example.com>"
    assert block.get("In-Reply-To") == b"<a@b>"
    assert block.get("References") == b"<a@b>"
    assert block.get("MIME-Version") == b"1.0"
    assert block.get("Date") == b"Fri, 20 Nov 2026 16:10:00 +0000"
    assert decode_words(block.get("Subject") or b"") == "Not delivered: Grüße"


def test_another_author_may_be_named():
    block = HeaderBlock.parse(written(author=Mailbox("Post", "post@example.com")))
    assert block.get("From") == b"Post <post@example.com>"


def test_the_same_notice_gives_the_same_bytes():
    assert written() == written()


def test_what_is_in_seven_bits_stays_in_seven_bits():
    content = written()
    assert content.isascii()
    assert b"8bit" not in content


# --- status ----------------------------------------------------------------------------------------


def test_the_message_is_described_for_programs():
    group = groups(written(envelope_id="id 42"))[0]
    assert group["Original-Envelope-Id"] == "id 42"
    assert group["Reporting-MTA"] == "dns; mail.example.com"
    assert group["Arrival-Date"] == "Fri, 20 Nov 2026 16:09:00 +0000"


def test_without_an_envelope_id_none_is_given():
    assert groups(written())[0]["Original-Envelope-Id"] is None


def test_a_recipient_is_described_for_programs():
    group = groups(written())[1]
    assert group.items() == [
        ("Original-Recipient", "rfc822;b+c@example.com"),
        ("Final-Recipient", "rfc822;bob@example.org"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.example.org"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 No such user"),
        ("Last-Attempt-Date", "Fri, 20 Nov 2026 16:09:59 +0000"),
    ]


def test_what_is_not_known_of_a_recipient_is_left_out():
    group = groups(written(RecipientReport("bob@example.org", Action.RELAYED)))[1]
    assert group.items() == [
        ("Final-Recipient", "rfc822;bob@example.org"),
        ("Action", "relayed"),
        ("Status", "2.0.0"),
    ]


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (Action.FAILED, "5.0.0"),
        (Action.DELAYED, "4.0.0"),
        (Action.DELIVERED, "2.0.0"),
        (Action.RELAYED, "2.0.0"),
    ],
)
@pytest.mark.parametrize("given_status", ["", "5", "nonsense", "5.1.1\r\nX: y"])
def test_a_status_is_always_valid(action: Action, status: str, given_status: str):
    report = RecipientReport("bob@example.org", action, given_status)
    assert groups(written(report))[1]["Status"] == status


def test_a_delay_says_until_when_it_is_tried():
    report = RecipientReport("b@example.org", Action.DELAYED, "4.4.1", retry_until=NOW)
    assert groups(written(report))[1]["Will-Retry-Until"] == "Fri, 20 Nov 2026 16:10:00 +0000"
    report = RecipientReport("b@example.org", Action.FAILED, "4.4.1", retry_until=NOW)
    assert groups(written(report))[1]["Will-Retry-Until"] is None


def test_every_recipient_has_a_group():
    reports = [RecipientReport(f"p{n}@example.org", Action.FAILED, "5.1.1") for n in range(200)]
    found = groups(written(*reports))
    assert [group["Final-Recipient"] for group in found[1:]] == [
        f"rfc822;p{n}@example.org" for n in range(200)
    ]


def test_an_address_outside_ascii_is_written_in_the_form_for_seven_bits():
    report = RecipientReport("jörg+x@example.org", Action.FAILED, original="rfc822;ü=@example.com")
    group = groups(written(report))[1]
    assert group["Final-Recipient"] == r"utf-8;j\x{F6}rg\x{2B}x@example.org"
    assert group["Original-Recipient"] == r"utf-8;\x{FC}\x{3D}@example.com"


@given(st.text(max_size=3000), st.text(max_size=80), st.text(max_size=80))
def test_what_outsiders_wrote_stays_in_its_field(reply: str, remote_mta: str, original: str):
    report = RecipientReport(
        "bob@example.org", Action.FAILED, "5.1.1", f"rfc822;{original}", remote_mta, reply
    )
    content = written(report, envelope_id=original)
    assert set(groups(content)[1].keys()) <= {
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
    }
    assert set(groups(content)[0].keys()) <= {
        "Original-Envelope-Id",
        "Reporting-MTA",
        "Arrival-Date",
    }
    assert [part.get_content_type() for part in parts(content)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_an_endless_answer_is_cut():
    report = RecipientReport("b@example.org", Action.FAILED, reply="550 " + "x" * 1_000_000)
    assert len(written(report)) < 10_000
    many = [
        RecipientReport(f"{n}@example.org", Action.FAILED, reply="5" * 9999) for n in range(1000)
    ]
    assert len(written(*many)) < 350_000


# --- what comes back -------------------------------------------------------------------------------


def test_with_full_the_whole_message_comes_back_to_the_byte():
    content = written(report="FULL")
    assert b"Content-Type: message/rfc822\r\n\r\n" + CONTENT + b"\r\n--=_" in content
    assert "The message is enclosed." in content.decode()


@pytest.mark.parametrize("report", ["HDRS", None])
def test_with_hdrs_or_nothing_only_the_header_comes_back(report: str | None):
    content = written(report=report)
    assert b"text/rfc822-headers\r\n\r\n" + split_content(CONTENT)[0] in content
    assert b"Hello" not in content


@pytest.mark.parametrize("action", [Action.DELAYED, Action.DELIVERED, Action.RELAYED])
def test_full_is_for_failures_only(action: Action):
    assert b"Hello" not in written(RecipientReport("b@example.org", action), report="FULL")


def test_a_large_message_does_not_come_back_whole():
    content = written(report="FULL", content=CONTENT + b"x" * MAX_RETURNED_BYTES)
    assert len(content) < 5_000
    assert b"larger than 64 kB" in content
    just = CONTENT + b"x" * (MAX_RETURNED_BYTES - len(CONTENT))
    assert just in written(report="FULL", content=just)


def test_content_that_is_gone_leaves_two_parts():
    content = written(content=b"", report="FULL")
    assert len(parts(content)) == 2
    assert b"no longer stored" in content
    assert HeaderBlock.parse(content).get("Subject") == b"Not delivered"
    assert HeaderBlock.parse(content).get("References") is None


def test_eight_bit_content_is_labelled_all_the_way_up():
    foreign = "Subject: Grüße\r\n\r\nGrüße\r\n".encode()
    for report in ("FULL", "HDRS"):
        content = written(report=report, content=foreign)
        message = read(content)
        assert message["Content-Transfer-Encoding"] == "8bit"
        assert parts(content)[2]["Content-Transfer-Encoding"] == "8bit"
        assert split_content(content)[0].isascii()


def test_a_message_that_contains_our_boundary_cannot_break_the_report():
    boundary = read(written(report="FULL")).get_boundary()
    assert boundary is not None
    hostile = b"Subject: x\r\n\r\n--" + boundary.encode() + b"--\r\n"
    content = written(report="FULL", content=hostile)
    assert len(parts(content)) == 3
    assert hostile in content


@pytest.mark.parametrize(
    "subject",
    [b"=?utf-8?q?a=0D=0ABcc:_v@x?=", b"=?utf-8?b?YQ0KQmNjOiB2QHg=?=", b"a\xc2\x85b", b"x" * 5000],
)
def test_a_hostile_subject_stays_a_subject(subject: bytes):
    block = HeaderBlock.parse(written(content=b"Subject: " + subject + b"\r\n\r\n"))
    assert block.get("Bcc") is None
    assert len(decode_words(block.get("Subject") or b"")) < 130
    assert (block.get("Subject") or b"").isascii()


@pytest.mark.parametrize(
    "message_id", [b"", b"a b", b"<a b@c>", b"<\xfc@x>", b"<" + b"a" * 400 + b">"]
)
def test_a_strange_message_id_is_not_referred_to(message_id: bytes):
    content = written(content=b"Message-ID: " + message_id + b"\r\n\r\n")
    assert HeaderBlock.parse(content).get("References") is None


def test_a_return_path_that_is_no_address_is_refused():
    with pytest.raises(InvalidHeaderValue) as caught:
        written(to="ann@example.com>\r\nBcc: v@x")
    assert caught.value.field == "to.address"
