from __future__ import annotations

import email
import email.policy
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.downgrade import downgrade
from pillarbox.message.errors import CannotRender
from pillarbox.message.header import split_content


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def leaves(content: bytes) -> list[tuple[str, bytes]]:
    """Type and decoded bytes of every leaf, as an independent reader finds them."""
    found = []
    for part in email.message_from_bytes(content, policy=email.policy.SMTP).walk():
        assert isinstance(part, Message)
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append((part.get_content_type(), payload))
    return found


PLAIN = crlf(
    """From: ann@example.com
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Subject: x

Grüße aus Köln, und viele mehr
"""
)


def test_a_text_becomes_quoted_printable_and_only_its_encoding_is_renamed():
    assert downgrade(PLAIN) == (
        split_content(PLAIN)[0].replace(b": 8bit", b": quoted-printable")
        + b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln, und viele mehr\r\n"
    )


def test_a_text_of_foreign_letters_becomes_base64():
    content = crlf("MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n日本語のメール\n")
    assert b"Transfer-Encoding: base64\r\n" in downgrade(content)
    assert leaves(downgrade(content)) == leaves(content)


def test_a_message_without_mime_fields_gets_them():
    content = crlf("Subject: x\n\nGrüße an alle, wirklich alle\n")
    assert downgrade(content) == (
        b"MIME-Version: 1.0\r\nSubject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=C3=BC=C3=9Fe an alle, wirklich alle\r\n"
    )


def test_a_message_without_any_field_gets_them_too():
    result = downgrade("\r\nGrüße an alle, wirklich alle\r\n".encode())
    assert leaves(result) == [("text/plain", "Grüße an alle, wirklich alle\r\n".encode())]


MIXED = crlf(
    """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b
content-transfer-encoding:  8bit

--b
Content-Type: multipart/alternative; boundary=c
Content-Transfer-Encoding: binary

--c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße, liebe Leserinnen und Leser
--c
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding:
 8bit

<p>Grüße, liebe Leserinnen und Leser</p>
--c--
--b
Content-Type: text/plain; charset=us-ascii

ASCII stays
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

AAAA
--b

Öhne Kopf, aber mit Inhalt
--b
Content-Type: application/x-own
Content-Transfer-Encoding: 8bit

üü
--b--
"""
)


def test_each_leaf_decodes_to_the_same_bytes_and_the_structure_is_kept():
    result = downgrade(MIXED)
    assert result.isascii()
    assert leaves(result) == leaves(MIXED)


def test_parts_in_seven_bits_keep_every_byte():
    result = downgrade(MIXED)
    assert (
        b"--b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nASCII stays\r\n--b\r\n" in result
    )
    assert b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b\r\n" in result


def test_what_encloses_converted_parts_is_labelled_as_seven_bits():
    result = downgrade(MIXED)
    assert b"8bit" not in result
    assert b"binary" not in result
    assert result.count(b": 7bit\r\n") == 2


def test_what_is_not_text_becomes_base64():
    assert b"application/x-own\r\nContent-Transfer-Encoding: base64\r\n\r\nw7zDvA==" in downgrade(
        MIXED
    )


def test_an_enclosed_message_is_converted_inside():
    content = crlf(
        "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
        "Subject: inner\n\nGrüße und noch viel mehr Text\n"
    )
    result = downgrade(content)
    assert result.isascii()
    assert b"Content-Transfer-Encoding: 7bit\r\n\r\nSubject: inner\r\n" in result
    assert leaves(result) == leaves(content)


def test_what_is_in_seven_bits_is_given_back():
    assert downgrade(b"Subject: x\r\n\r\nHello\r\n") == b"Subject: x\r\n\r\nHello\r\n"


SIGNED = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

Grüße, und Text davor
--b
Content-Type: {}; boundary=c

--c

{}
--c
Content-Type: application/pgp-signature

AAAA
--c--
--b--
"""


@pytest.mark.parametrize("kind", ["multipart/signed", "Multipart/Signed", "multipart/encrypted"])
def test_a_signed_or_encrypted_part_is_never_touched(kind: str):
    with pytest.raises(CannotRender, match="signed or encrypted") as caught:
        downgrade(crlf(SIGNED.format(kind, "Grüße")))
    assert caught.value.status == "5.6.3"


def test_beside_a_signed_part_in_seven_bits_the_rest_is_converted():
    content = crlf(SIGNED.format("multipart/signed", "plain"))
    sealed = content[content.index(b"--b\r\nContent-Type") :]
    assert downgrade(content).endswith(sealed)


@pytest.mark.parametrize("kind", ["application/pkcs7-mime", "application/x-pkcs7-mime"])
def test_an_smime_part_is_never_touched(kind: str):
    with pytest.raises(CannotRender, match="signed or encrypted"):
        downgrade(crlf(f"Content-Type: {kind}\n\nGrüße\n"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Subject: Grüße\n\nx\n", "in a header"),
        (
            "Content-Type: multipart/mixed; boundary=b\n\nGrüße\n--b\n\nx\n--b--\n",
            "between its parts",
        ),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\nX-Ä: ü\n\nx\n--b--\n", "in a header"),
        ("Content-Type: multipart/mixed\n\nGrüße\n", "may not be encoded"),
        ("Content-Type: message/delivery-status\n\nGrüße\n", "may not be encoded"),
        ("Content-Transfer-Encoding: base64\n\nGrüße\n", "claims to be base64"),
        ("Content-Transfer-Encoding: quoted-printable\n\nGrüße\n", "claims to be quoted-printable"),
        ("Content-Transfer-Encoding: x-own\n\nGrüße\n", "claims to be x-own"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_its_reason(content: str, reason: str):
    with pytest.raises(CannotRender, match=reason) as caught:
        downgrade(crlf(content))
    assert caught.value.status == "5.6.3"


def test_a_structure_too_deep_to_follow_is_refused():
    with pytest.raises(CannotRender, match="levels"):
        downgrade(b"Content-Type: message/rfc822\r\n\r\n" * 100 + b"\xff")


LINES = st.lists(st.text("aé日.= \t\0", max_size=120), max_size=6).map("\r\n".join)


@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from(["", "8bit", "7bit", "binary"]))
def test_whatever_the_leaves_hold_readers_see_the_same(texts: list[str], encoding: str):
    label = f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    parts = "".join(f"--b\r\n{label}\r\n{text}\r\n" for text in texts)
    content = (
        f"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"
    )
    result = downgrade(content.encode())
    assert result.isascii()
    # A reader drops the line end that base64 adds at the end; nothing else may differ.
    assert [text for _, text in leaves(result)] == [text.encode() for text in texts]


@given(st.binary(max_size=120))
def test_any_bytes_in_a_body_are_read_back(body: bytes):
    content = b"MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n" + body
    result = downgrade(content)
    if not body.isascii():
        assert leaves(result) == [("application/x", body)]
        assert result.isascii()


def test_a_large_body_costs_little(cpu_seconds):
    content = b"MIME-Version: 1.0\r\n\r\n" + "Grüße und ein ganz langer Text\r\n".encode() * 300_000
    with cpu_seconds(3):
        assert downgrade(content).isascii()
