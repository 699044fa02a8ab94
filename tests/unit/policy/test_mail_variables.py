from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.directory import App
from pillarbox.policy.mail_variables import (
    InvalidVariable,
    differing,
    parse_lines,
    read_variables,
)
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret

SAID = {
    "MAIL_DRIVER": "smtp",
    "MAIL_HOST": "smtp.example.com",
    "MAIL_PORT": "587",
    "MAIL_USERNAME": "user",
    "MAIL_PASSWORD": "p#ss word",
    "MAIL_ENCRYPTION": "tls",
    "MAIL_FROM_ADDRESS": "shop@Example.com",
    "MAIL_FROM_NAME": "The Shop",
}


# --- lines ------------------------------------------------------------------------------------


def test_lines_are_read_as_the_programs_read_them_that_use_such_files():
    found = parse_lines(
        """
        # a comment
        APP_NAME="The \\"Shop\\""   # and another
        export MAIL_HOST = smtp.example.com # here
        MAIL_PASSWORD='p#ss $x ${APP_NAME}'
        MAIL_FROM_NAME="${APP_NAME} mail"
        MAIL_PORT=
        PLAIN=a#b
        no variable
        1X=2
        UNKNOWN=${NOBODY}
        """
    )
    assert found == {
        "APP_NAME": 'The "Shop"',
        "MAIL_HOST": "smtp.example.com",
        "MAIL_PASSWORD": "p#ss $x ${APP_NAME}",
        "MAIL_FROM_NAME": 'The "Shop" mail',
        "MAIL_PORT": "",
        "PLAIN": "a#b",
        "UNKNOWN": "${NOBODY}",
    }


def test_references_cannot_make_values_grow_without_end():
    text = "\n".join(["A=xxxxxxxxxx", *('A="' + "${A}" * 50 + '"' for _ in range(50))])
    assert len(parse_lines(text)["A"]) <= 2000


@given(st.text(max_size=2000))
def test_any_text_is_read_without_fail(text: str):
    assert all(isinstance(value, str) for value in parse_lines(text).values())


# --- meaning ----------------------------------------------------------------------------------


def test_the_variables_are_an_app_and_its_server():
    found = read_variables(SAID)
    assert found is not None
    assert (found.host, found.port, found.encryption) == (
        "smtp.example.com", 587, Encryption.STARTTLS,
    )  # fmt: skip
    assert (found.username, found.password) == ("user", Secret("p#ss word"))
    assert (found.from_address, found.from_name) == ("shop@example.com", "The Shop")
    assert "p#ss" not in repr(found)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"MAIL_HOST": "smtp.example.com"},
        {**SAID, "MAIL_DRIVER": "log"},
        {**SAID, "MAIL_DRIVER": "smtp", "MAIL_MAILER": "ses"},
        {**SAID, "MAIL_DRIVER": "null"},
    ],
)
def test_only_who_sends_by_smtp_is_meant(said):
    assert read_variables(said) is None


@pytest.mark.parametrize(
    ("changed", "encryption"),
    [
        ({"MAIL_ENCRYPTION": "tls"}, Encryption.STARTTLS),
        ({"MAIL_ENCRYPTION": "TLS"}, Encryption.STARTTLS),
        ({"MAIL_ENCRYPTION": "ssl"}, Encryption.TLS),
        ({"MAIL_ENCRYPTION": ""}, Encryption.NONE),
        ({"MAIL_ENCRYPTION": "null"}, Encryption.NONE),
        ({"MAIL_ENCRYPTION": "", "MAIL_SCHEME": "smtps"}, Encryption.TLS),
        ({"MAIL_SCHEME": "smtps", "MAIL_ENCRYPTION": None}, Encryption.TLS),
        ({"MAIL_SCHEME": "smtp", "MAIL_ENCRYPTION": None}, Encryption.STARTTLS),
        ({"MAIL_SCHEME": "tls", "MAIL_ENCRYPTION": None}, Encryption.STARTTLS),
        ({"MAIL_SCHEME": "null", "MAIL_ENCRYPTION": None}, Encryption.STARTTLS),
        ({"MAIL_ENCRYPTION": None}, Encryption.STARTTLS),
        ({"MAIL_ENCRYPTION": None, "MAIL_PORT": "465"}, Encryption.TLS),
    ],
)
def test_encryption_is_tls_ssl_or_nothing_and_safe_where_nobody_speaks_of_it(changed, encryption):
    said = {name: value for name, value in {**SAID, **changed}.items() if value is not None}
    found = read_variables(said)
    assert found is not None and found.encryption is encryption


@pytest.mark.parametrize("missing", ["MAIL_USERNAME", "MAIL_PASSWORD"])
def test_a_login_needs_both_a_name_and_a_password(missing):
    found = read_variables({**SAID, missing: "null"})
    assert found is not None
    assert (found.username, found.password) == ("", Secret(""))


def test_the_port_is_587_where_none_is_said():
    found = read_variables({**SAID, "MAIL_PORT": ""})
    assert found is not None and found.port == 587


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_HOST", ""),
        ("MAIL_HOST", "s3cret value"),
        ("MAIL_PORT", "s3cret"),
        ("MAIL_PORT", "0"),
        ("MAIL_PORT", "99999"),
        ("MAIL_ENCRYPTION", "s3cret"),
        ("MAIL_FROM_ADDRESS", "s3cret"),
        ("MAIL_FROM_NAME", "s3cret\x07"),
        ("MAIL_FROM_NAME", "s3cret" * 50),
    ],
)
def test_what_cannot_be_used_is_named_and_never_shown(name, value):
    with pytest.raises(InvalidVariable) as caught:
        read_variables({**SAID, name: value})
    assert name in caught.value.sentence
    assert "s3cret" not in f"{caught.value!r} {caught.value} {caught.value.fix}"


def test_differences_are_told_by_name():
    found = read_variables(SAID)
    assert found is not None
    app = App(
        ObjectId(b"a" * 12), ObjectId(b"b" * 12), "email",
        from_address="shop@example.com", from_name="The Shop",
    )  # fmt: skip
    server = Server(
        ObjectId(b"s" * 12), app.id, "email", "SMTP.example.com", 587,
        username="user", password=Secret("p#ss word"),
    )  # fmt: skip
    assert differing(found, app, server) == []
    assert differing(found, app, None) == ["MAIL_HOST"]
    other = read_variables({**SAID, "MAIL_PASSWORD": "new", "MAIL_PORT": "25"})
    assert other is not None
    assert differing(other, app, server) == ["MAIL_PORT", "MAIL_PASSWORD"]
