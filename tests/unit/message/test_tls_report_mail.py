from __future__ import annotations

import base64
import email
from dataclasses import replace

import pytest

from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.tls_report_mail import ReportMail, write_report_mail

MAIL = ReportMail(
    identity="2026-11-05.example.com@relay.test",
    at=1_790_000_000_000,
    author="postmaster@relay.test",
    to="tls@example.com",
    domain="example.com",
    submitter="relay.test",
    day="2026-11-05",
    file_name="relay.test!example.com!1!2.json.gz",
    packed=bytes(range(256)) * 20,
)


def test_the_report_is_enclosed_as_it_is_in_lines_that_fit() -> None:
    written = write_report_mail(MAIL)
    text, report = email.message_from_bytes(written).get_payload()  # type: ignore[misc]
    assert "RFC 8460" in text.get_payload()
    assert base64.b64decode(report.get_payload()) == MAIL.packed
    assert report.get_filename() == MAIL.file_name
    assert written.isascii() and max(map(len, written.split(b"\r\n"))) <= 200
    assert b"\n" not in written.replace(b"\r\n", b"")


def test_the_same_report_gives_the_same_bytes() -> None:
    assert write_report_mail(MAIL) == write_report_mail(MAIL)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidHeaderValue):
        write_report_mail(replace(MAIL, to="a@b.test\r\nBcc: c@d.test"))
