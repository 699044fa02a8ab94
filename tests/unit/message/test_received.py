from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.facts import Origin
from pillarbox.message.header import HeaderBlock
from pillarbox.message.received import received_field

NOW = 1_795_191_000_000
SMTP = Origin(
    "smtp", "192.0.2.7", 4711, "client.example.com", "ESMTPSA", "TLSv1.3 TLS_AES_256_GCM_SHA384"
)


def written(origin: Origin = SMTP, recipient: str | None = None) -> bytes:
    return received_field(origin, "mail.example.com", "msg_0123456789AX", recipient, NOW)


def test_a_trace_field_says_from_whom_by_whom_how_and_when():
    assert written(recipient="bob@example.org") == (
        b"Received: from client.example.com ([192.0.2.7])\r\n"
        b"\t(using TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tby mail.example.com with ESMTPSA id msg_0123456789AX\r\n"
        b"\tfor <bob@example.org>;\r\n"
        b"\tFri, 20 Nov 2026 16:10:00 +0000\r\n"
    )


def test_without_one_single_recipient_none_is_named():
    assert b"for <" not in written()


@pytest.mark.parametrize(
    "recipient",
    ['"a b"@example.com', "jörg@example.com", "a@x>\r\nBcc: v", "a" * 300 + "@x", "ann"],
)
def test_a_recipient_that_would_need_quoting_is_left_out(recipient: str):
    assert b"for <" not in written(recipient=recipient)


def test_an_ipv6_address_is_written_as_a_literal_without_its_scope():
    field = written(Origin("smtp", "fe80::1%eth0", 1, "x", "ESMTP"))
    assert b"from x ([IPv6:fe80::1])\r\n\tby " in field


def test_a_peer_that_said_no_name_is_named_by_its_address():
    assert written(Origin("http", "192.0.2.7", protocol="HTTP")).startswith(
        b"Received: from [192.0.2.7] ([192.0.2.7])\r\n\tby mail.example.com with HTTP id "
    )


def test_what_we_wrote_ourselves_comes_from_nobody():
    assert written(Origin("system")).startswith(
        b"Received: by mail.example.com id msg_0123456789AX;\r\n\tFri, "
    )


def test_a_name_beyond_the_length_of_a_domain_is_cut():
    assert len(written(Origin("smtp", "192.0.2.7", 1, "x" * 10_000, "ESMTP"))) < 500


@given(st.text(max_size=400), st.text(max_size=80), st.text(max_size=80))
def test_whatever_a_peer_says_it_is_one_field_in_ascii(hello: str, tls: str, recipient: str):
    field = written(Origin("smtp", "192.0.2.7", 1, hello, "ESMTPS", tls), recipient)
    assert field.isascii()
    block = HeaderBlock.parse(field)
    assert [each.name for each in block.fields] == [b"Received"]
    assert block.to_bytes() == field
    assert not set(field) - set(range(0x20, 0x7F)) - set(b"\r\n\t")
    assert max(map(len, field.split(b"\r\n"))) < 600
