from __future__ import annotations

import email
import email.policy
import email.utils
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.compose import Attachment, Composition, Mailbox, compose
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.header import HeaderBlock, addresses_in, decode_words, split_content

ANN = Mailbox("Ann Example", "ann@example.com")
BOB = Mailbox("", "bob@example.org")


def written(**changes: Any) -> bytes:
    usual: dict[str, Any] = {
        "message_id": "msg_1@mail.example.com",
        "at": 1_795_191_000_000,
        "author": ANN,
        "to": (BOB,),
        "subject": "Test Email",
        "text": "Hello",
    }
    return compose(Composition(**(usual | changes)))


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def fields(content: bytes) -> HeaderBlock:
    return HeaderBlock.parse(split_content(content)[0])


# --- the whole -------------------------------------------------------------------------------------


def test_a_plain_message_is_written_to_the_byte():
    assert written() == (
        b"Date: Fri, 20 Nov 2026 16:10:00 +0000\r\n"
        b"From: Ann Example <ann@example.com>\r\n"
        b"To: bob@example.org\r\n"
        b"Subject: Test Email\r\n"
        b"Message-ID: <msg_1@mail.example.com>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello\r\n"
    )


def test_the_same_composition_gives_the_same_bytes():
    given_twice = {"html": "<p>x</p>", "attachments": (Attachment("a.pdf", b"x"),)}
    assert written(**given_twice) == written(**given_twice)


def test_text_and_html_are_alternatives_and_text_comes_first():
    message = read(written(html="<p>Hello</p>"))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_html_alone_makes_an_html_message():
    message = read(written(text=None, html="<p>Hello</p>"))
    assert message.get_content_type() == "text/html"
    assert message.get_content() == "<p>Hello</p>\r\n"


def test_without_any_text_the_message_is_empty_and_valid():
    message = read(written(text=None))
    assert message.get_content_type() == "text/plain"
    assert message.get_content() == "\r\n"


def test_to_cc_and_reply_to_are_in_the_header():
    block = fields(
        written(
            to=(Mailbox("User One", "one@example.com"), Mailbox("User Two", "two@example.com")),
            cc=(Mailbox("Manager", "m@example.com"),),
            reply_to=Mailbox("Help", "help@example.com"),
        )
    )
    assert block.get("To") == b"User One <one@example.com>, User Two <two@example.com>"
    assert block.get("Cc") == b"Manager <m@example.com>"
    assert block.get("Reply-To") == b"Help <help@example.com>"


def test_a_message_to_hidden_recipients_only_says_so():
    assert fields(written(to=())).get("To") == b"undisclosed-recipients:;"


def test_a_message_with_cc_alone_has_no_to():
    block = fields(written(to=(), cc=(BOB,)))
    assert block.get("To") is None
    assert block.get("Cc") == b"bob@example.org"


def test_an_empty_subject_is_left_out():
    assert fields(written(subject="")).get("Subject") is None


def test_a_message_id_may_come_with_its_brackets():
    assert fields(written(message_id="<a@b>")).get("Message-ID") == b"<a@b>"


@pytest.mark.parametrize("message_id", ["", "a", "a b@c", "a@b>\r\nBcc: v@x", "<<a@b>", "ä@b"])
def test_what_is_no_message_id_is_refused(message_id: str):
    with pytest.raises(InvalidHeaderValue, match="message_id"):
        written(message_id=message_id)


# --- text ------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(
    TEXT,
    TEXT,
    st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=80),
)
def test_any_text_arrives_intact_in_seven_bits(text: str, html: str, subject: str):
    content = written(text=text, html=html, subject=subject)
    assert content.isascii()
    assert b"\0" not in content
    assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    plain, rich = email.message_from_bytes(content).get_payload()
    for part, wanted in ((plain, text), (rich, html)):
        lines = wanted.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        assert part.get_payload(decode=True) == lines.encode()


def test_unicode_in_subject_and_names_arrives_intact():
    block = fields(written(subject="Grüße 日本 🎉", author=Mailbox("Jörg Müller", "j@example.com")))
    assert decode_words(block.get("Subject") or b"") == "Grüße 日本 🎉"
    assert decode_words(block.get("From") or b"") == "Jörg Müller <j@example.com>"


def test_a_dot_alone_on_a_line_is_part_of_the_text():
    assert read(written(text="a\n.\nb")).get_payload(decode=True) == b"a\r\n.\r\nb\r\n"


def test_a_foreign_local_part_is_the_only_thing_outside_ascii():
    content = written(to=(Mailbox("Jörg", "jörg@example.com"),))
    assert content.replace("jörg@".encode(), b"").isascii()


# --- injection -------------------------------------------------------------------------------------

BREAKS = ["a\r\nBcc: v@x", "a\nBcc: v@x", "a\rBcc", "a\0b"]
SUBTLE = [
    "a\u2028Bcc: v@x",
    "a\x85Bcc: v@x",
    "a\x0bBcc: v@x",
    "=?utf-8?q?a=0D=0ABcc:_v@x?=",
    "=?utf-8?b?YQ0KQmNjOiB2QHg=?=",
]


def placed(value: str) -> dict[str, dict[str, Any]]:
    return {
        "subject": {"subject": value},
        "author.name": {"author": Mailbox(value, "a@example.com")},
        "to.name": {"to": (Mailbox(value, "a@example.com"),)},
        "to[1].name": {"to": (BOB, Mailbox(value, "a@example.com"))},
        "cc.name": {"cc": (Mailbox(value, "a@example.com"),)},
        "reply_to.name": {"reply_to": Mailbox(value, "a@example.com")},
        "headers['X-Note']": {"headers": (("X-Note", value),)},
        "headers['References']": {"headers": (("References", value),)},
    }


@pytest.mark.parametrize("value", BREAKS)
@pytest.mark.parametrize("place", placed(""))
def test_a_line_break_or_nul_is_refused_naming_the_field(place: str, value: str):
    with pytest.raises(InvalidHeaderValue) as caught:
        written(**placed(value)[place])
    assert caught.value.field == place


@pytest.mark.parametrize("value", SUBTLE)
@pytest.mark.parametrize("place", [place for place in placed("") if "Ref" not in place])
def test_hidden_line_breaks_add_no_header(place: str, value: str):
    usual = [field.name for field in fields(written()).fields]
    block = fields(written(**placed(value)[place]))
    assert sorted({field.name for field in block.fields} - set(usual)) in (
        [],
        [b"Cc"],
        [b"Reply-To"],
        [b"X-Note"],
    )
    assert b"v@x" not in b" ".join(block.get_all("Bcc"))
    for field in block.fields:
        assert field.raw.count(b"\r\n") == len(field.raw.splitlines())
        assert "v@x" not in addresses_in(field.value) or field.name in (b"Subject", b"X-Note")
    parsed = read(block.to_bytes())
    assert parsed["bcc"] is None


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com>\r\nBcc: v@x",
        "a@example.com, v@example.org",
        "Ann <a@example.com>",
        "not-an-address",
        "",
    ],
)
@pytest.mark.parametrize("place", ["author", "to", "cc", "reply_to"])
def test_what_is_no_address_is_refused_naming_the_field(place: str, address: str):
    box = Mailbox("", address)
    with pytest.raises(InvalidHeaderValue) as caught:
        written(**{place: box if place in ("author", "reply_to") else (box,)})
    assert caught.value.field == f"{place}.address"


@pytest.mark.parametrize(
    "name",
    [
        "X: y\r\nBcc",
        "Bcc ",
        "Bcc",
        "Content-Type",
        "DKIM-Signature",
        "Received",
        "Date",
        "From",
        "MIME-Version",
    ]
    + ["Return-Path", "Sender", "", "X Note", "x-ä", "List-Id:", "X-" + "a" * 100],
)
def test_only_harmless_header_names_may_be_set(name: str):
    with pytest.raises(InvalidHeaderValue, match="may not be set"):
        written(headers=((name, "y"),))


def test_further_headers_are_written_in_order():
    content = written(
        headers=(
            ("X-Campaign", "Grüße"),
            ("List-Unsubscribe", "<https://example.com/u/1>, <mailto:u@example.com>"),
            ("In-Reply-To", "<a@b>"),
            ("Comments", "c"),
            ("X-Pillarbox-Tags", "a,b"),
        )
    )
    names = [field.name for field in fields(content).fields][5:10]
    assert names == [
        b"X-Campaign",
        b"List-Unsubscribe",
        b"In-Reply-To",
        b"Comments",
        b"X-Pillarbox-Tags",
    ]
    assert decode_words(fields(content).get("X-Campaign") or b"") == "Grüße"


def test_a_value_for_programs_stays_on_one_line_while_it_fits():
    links = "<https://example.com/" + "a" * 400 + ">, <mailto:u@example.com>"
    assert b"List-Unsubscribe: " + links.encode() + b"\r\n" in written(
        headers=(("List-Unsubscribe", links),)
    )


def test_a_long_list_of_references_is_folded_at_blanks_only():
    references = " ".join(f"<{n}.{'x' * 40}@example.com>" for n in range(60))
    content = written(headers=(("References", references),))
    assert fields(content).get("References") == references.encode()
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_a_value_for_programs_is_never_encoded():
    with pytest.raises(InvalidHeaderValue, match="outside ASCII"):
        written(headers=(("References", "<ü@x>"),))
    with pytest.raises(InvalidHeaderValue, match="word longer than a line"):
        written(headers=(("References", "x" * 1000),))


def test_a_value_of_a_megabyte_is_refused():
    with pytest.raises(InvalidHeaderValue, match="longer than"):
        written(subject="x" * 1_000_000)


# --- attachments -----------------------------------------------------------------------------------


def attached(*attachments: Attachment) -> list[EmailMessage]:
    message = read(written(attachments=attachments))
    assert message.get_content_type() == "multipart/mixed"
    first, *others = message.iter_parts()
    assert first.get_content_type() == "text/plain"
    return [part for part in others if isinstance(part, EmailMessage)]


def test_attachments_arrive_in_order_with_name_type_and_bytes():
    data = bytes(range(256)) * 10
    one, two = attached(Attachment("a.pdf", data, "application/pdf"), Attachment("b.bin", b""))
    assert one.get_filename() == "a.pdf"
    assert one.get_content_type() == "application/pdf"
    assert one.get_content_disposition() == "attachment"
    assert one.get_payload(decode=True) == data
    assert two.get_filename() == "b.bin"
    assert two.get_payload(decode=True) == b""


def test_alternatives_and_attachments_nest():
    message = read(written(html="<p>x</p>", attachments=(Attachment("a", b"x"),)))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/octet-stream",
    ]


@pytest.mark.parametrize(
    ("name", "given_type", "kind"),
    [
        ("a.png", "", "image/png"),
        ("a.png", "  ", "image/png"),
        ("a.unknown", "", "application/octet-stream"),
        ("a.png", "image/x-own", "image/x-own"),
        ("a.eml", "message/rfc822", "application/octet-stream"),
        ("a.x", "multipart/mixed; boundary=x", "application/octet-stream"),
    ],
)
def test_the_type_is_what_was_said_or_what_the_name_suggests(name: str, given_type: str, kind: str):
    assert attached(Attachment(name, b"x", given_type))[0].get_content_type() == kind


def test_a_charset_goes_along_and_other_parameters_do_not():
    part = attached(Attachment("a.csv", b"x", 'text/csv; charset=utf-8; boundary="x"; name=evil'))[
        0
    ]
    assert part.get_param("charset") == "utf-8"
    assert part.get_param("boundary") is None
    assert part.get_filename() == "a.csv"


@pytest.mark.parametrize(
    "given_type", ["png", "image/", "image/png\r\nBcc: v@x", "a b/c", "image/png\0"]
)
def test_what_is_no_type_is_refused_naming_the_field(given_type: str):
    with pytest.raises(InvalidHeaderValue) as caught:
        attached(Attachment("a", b"x"), Attachment("a", b"x", given_type))
    assert caught.value.field == "attachments[1].type"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("my report.pdf", "my report.pdf"),
        ("Übersicht 2026.pdf", "Übersicht 2026.pdf"),
        ("日本語のとても長い名前のファイル.pdf" * 3, "日本語のとても長い名前のファイル.pdf" * 3),
        ('say "hi" \\ now.txt', "now.txt"),
        ('say "hi".txt', 'say "hi".txt'),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x.txt", "x.txt"),
        ("/abs", "abs"),
        ("a\0b.pdf", "ab.pdf"),
        ("a\r\nBcc: v@x.pdf", "aBcc: v@x.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u2028b.txt", "ab.txt"),
        ("..", "attachment"),
        ("", "attachment"),
        ("%2e%2e%2f.txt", "%2e%2e%2f.txt"),
        ("a;b=c.txt", "a;b=c.txt"),
        ("l" * 100 + ".txt", "l" * 100 + ".txt"),
        ("l" * 4096 + ".pdf", "l" * 196 + ".pdf"),
        ("l" * 4096, "l" * 200),
        ("a." + "l" * 4096, "a." + "l" * 198),
        ("=?utf-8?q?a=0D=0Ab?=", "=?utf-8?q?a=0D=0Ab?="),
    ],
)
def test_a_file_name_arrives_without_path_and_tricks(name: str, kept: str):
    content = written(attachments=(Attachment(name, b"x"),))
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 250
    legacy = email.message_from_bytes(content)  # reads RFC 2231 and leaves RFC 2047 to us
    part = legacy.get_payload()[1]
    assert (
        email.utils.collapse_rfc2231_value(part.get_param("filename", header="content-disposition"))
        == kept
    )
    assert decode_words(part.get_param("name").encode()) in (kept, "a  b")
    assert part.get_all("bcc") is None


@given(st.text(min_size=0, max_size=120))
def test_no_file_name_breaks_the_message(name: str):
    (part,) = attached(Attachment(name, b"data"))
    assert part.get_payload(decode=True) == b"data"
    assert [field.lower() for field in part.keys()] == [
        "content-type",
        "content-disposition",
        "content-transfer-encoding",
    ]


def test_a_large_attachment_costs_little(cpu_seconds):
    with cpu_seconds(3):
        assert len(written(attachments=(Attachment("a.bin", bytes(20_000_000)),))) > 26_000_000
