from __future__ import annotations

import email
import email.policy

from pillarbox.message.entity import Entity, multipart, text_entity


def test_text_gets_the_line_ends_of_mail_whatever_it_came_with():
    assert text_entity("plain", "a\nb\rc\r\nd").body == b"a\r\nb\r\nc\r\nd"


def test_text_is_labelled_with_its_charset_and_encoding():
    entity = text_entity("html", "<p>Grüße und viele andere Wörter</p>")
    assert entity.fields == (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    )
    assert entity.to_bytes() == entity.fields + b"\r\n" + entity.body


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_boundary():
    parts = [text_entity("plain", "a")]
    first = multipart("mixed", "<1@x>", parts)
    assert multipart("mixed", "<1@x>", parts) == first
    assert multipart("mixed", "<2@x>", parts) != first
    assert multipart("alternative", "<1@x>", parts).body != first.body


def test_a_boundary_never_occurs_in_what_it_bounds():
    first = multipart("mixed", "seed", [Entity(b"", b"x")])
    boundary = first.body.partition(b"\r\n")[0]
    foreign = Entity(b"Content-Type: message/rfc822\r\n", b"\r\n" + boundary + b"\r\n")
    second = multipart("mixed", "seed", [foreign])
    assert not second.body.startswith(boundary)
    assert (
        len(email.message_from_bytes(second.to_bytes(), policy=email.policy.SMTP).get_payload())
        == 1
    )


def test_text_that_looks_like_a_boundary_is_encoded():
    assert b"--=_" not in text_entity("plain", "see --=_ here").body


def test_parameters_stand_beside_the_boundary():
    entity = multipart("report", "x", [], "report-type=delivery-status;")
    message = email.message_from_bytes(entity.to_bytes())
    assert message.get_param("report-type") == "delivery-status"
    assert message.get_boundary()
