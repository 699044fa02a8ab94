"""lines become verbs, and nothing dangerous becomes a line"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.command import (
    Verb,
    check_envelope,
    format_hello,
    format_mail,
    format_wishes,
    parse_command,
)
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.extensions import Extensions

ALL = Extensions.parse(["SIZE 1000", "8BITMIME", "SMTPUTF8"])


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        ("EHLO mail.example.com", Verb.EHLO, "mail.example.com"),
        ("mAiL fRoM:<a@b>", Verb.MAIL, "fRoM:<a@b>"),
        ("NOOP", Verb.NOOP, ""),
        ("quit ", Verb.QUIT, ""),
        ("NOOP  two  words ", Verb.NOOP, "two  words"),
        ("NOOP\tx", None, ""),
        ("", None, ""),
        (" NOOP", None, "NOOP"),
        ("GET / HTTP/1.1", None, "/ HTTP/1.1"),
        ("MAILX FROM:<a@b>", None, "FROM:<a@b>"),
        ("ſtarttls", None, ""),
    ],
)
def test_a_verb_is_known_in_any_case(line: str, verb: Verb | None, argument: str) -> None:
    assert parse_command(line) == (verb, argument)


def test_hello_is_said_with_a_host_name_or_literal() -> None:
    assert format_hello(Verb.EHLO, "mail.example.com") == b"EHLO mail.example.com\r\n"
    assert format_hello(Verb.HELO, "[127.0.0.1]") == b"HELO [127.0.0.1]\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a\r\nMAIL FROM:<>", "a\0", "büro", "<a>"])
def test_hello_with_anything_else_is_our_mistake(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="EHLO"):
        format_hello(Verb.EHLO, name)


@pytest.mark.parametrize(
    ("size", "body", "smtputf8", "parameters"),
    [
        (None, "7BIT", False, ""),
        (10, "7BIT", False, " SIZE=10"),
        (0, "8BITMIME", True, " SIZE=0 BODY=8BITMIME SMTPUTF8"),
    ],
)
def test_mail_has_the_parameters_that_were_offered(
    size: int | None, body: str, smtputf8: bool, parameters: str
) -> None:
    wishes = {"size": size, "body": body, "smtputf8": smtputf8}
    assert format_mail("a@b", ALL, **wishes) == f"MAIL FROM:<a@b>{parameters}\r\n"
    assert format_mail("", Extensions(), **wishes) == "MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    ("report", "envelope_id", "parameters"),
    [
        (None, None, ""),
        ("FULL", None, " RET=FULL"),
        (None, "a+b c", " ENVID=a+2Bb+20c"),
        ("HDRS", "QQ314159", " RET=HDRS ENVID=QQ314159"),
    ],
)
def test_wishes_for_reports_are_said_to_whoever_knows_them(
    report: str | None, envelope_id: str | None, parameters: str
) -> None:
    wishes = {"size": None, "body": "7BIT", "smtputf8": False}
    wishes |= {"report": report, "envelope_id": envelope_id}
    dsn = Extensions.parse(["DSN"])
    assert format_mail("a@b", dsn, **wishes) == f"MAIL FROM:<a@b>{parameters}\r\n"
    assert format_mail("a@b", ALL, **wishes) == "MAIL FROM:<a@b>\r\n"


@pytest.mark.parametrize(
    ("notify", "original", "said"),
    [
        ("", None, ""),
        ("NEVER", None, " NOTIFY=NEVER"),
        ("SUCCESS,FAILURE,DELAY", None, " NOTIFY=SUCCESS,FAILURE,DELAY"),
        ("", "rfc822;a+b@c.example", " ORCPT=rfc822;a+2Bb@c.example"),
        ("DELAY", "utf-8;ü@c.example", " NOTIFY=DELAY ORCPT=utf-8;\\x{FC}@c.example"),
    ],
)
def test_the_wishes_of_a_recipient_follow_its_address(
    notify: str, original: str | None, said: str
) -> None:
    assert format_wishes(notify, original) == said


@pytest.mark.parametrize(
    ("notify", "original"),
    [
        ("NEVER\r\nRCPT TO:<v@x>", None),
        ("NEVER ORCPT=x", None),
        ("", "rfc 822;a"),
        ("", "\r\n;a"),
        ("", ";a@b"),
    ],
)
def test_wishes_that_would_change_the_command_are_our_mistake(
    notify: str, original: str | None
) -> None:
    with pytest.raises(LocalProtocolError):
        format_wishes(notify, original)


@given(st.text())
def test_no_original_address_becomes_a_second_parameter(address: str) -> None:
    try:
        said = format_wishes("", f"rfc822;{address}") + format_wishes("", f"utf-8;{address}")
    except UnicodeEncodeError:  # half a character, which no text from outside can have
        return
    assert said.isascii()
    assert said.isprintable()
    assert said.count(" ") == 2


def test_a_report_of_another_kind_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="FULL or HDRS"):
        format_mail(
            "a@b", Extensions.parse(["DSN"]), size=None, body="7BIT", smtputf8=False, report="ALL"
        )


def test_a_body_of_another_kind_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="8BITMIME"):
        format_mail("a@b", ALL, size=None, body="8BITMIME\r\nX", smtputf8=False)


@pytest.mark.parametrize(
    "address",
    [
        "a@b\r\nRCPT TO:<v@x>",
        "a@b\nX",
        "a@b\rX",
        "a\0@b",
        "a@b> SIZE=1",
        "a b@c",
        "<a@b>",
        "a\x7f@b",
        '"a\r\n"@b.example',
        '"a"> SIZE=1 "@b.example',
        '"a b"@c> X',
    ],
)
def test_an_address_that_would_change_the_command_is_our_mistake(address: str) -> None:
    for return_path, recipients in ((address, ["a@b"]), ("a@b", ["a@b", address])):
        with pytest.raises(LocalProtocolError, match="control character"):
            check_envelope(return_path, recipients, utf8=True)


@pytest.mark.parametrize(
    ("return_path", "recipients"),
    [
        ("", ["a@b"]),
        ("a@b", ["postmaster"]),
        ('"a b"@c.example', ['"<>"@c.example']),
        ("a@[127.0.0.1]", ["a@b", "c@d"]),
    ],
)
def test_lawful_addresses_pass(return_path: str, recipients: list[str]) -> None:
    check_envelope(return_path, recipients, utf8=False)


@pytest.mark.parametrize("recipients", [[], [""], ["a@b", ""]])
def test_an_envelope_without_recipients_is_our_mistake(recipients: list[str]) -> None:
    with pytest.raises(LocalProtocolError, match="at least one recipient"):
        check_envelope("a@b", recipients, utf8=False)


def test_an_address_beyond_ascii_needs_a_peer_that_takes_it() -> None:
    check_envelope("ü@b", ["a@b"], utf8=True)
    for return_path, recipient in (("ü@b", "a@b"), ("a@b", "ü@b")):
        with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
            check_envelope(return_path, [recipient], utf8=False)


@given(st.text(), st.text(min_size=1))
def test_no_text_becomes_a_second_command(return_path: str, recipient: str) -> None:
    try:
        check_envelope(return_path, [recipient], utf8=True)
    except LocalProtocolError:
        return
    line = format_mail(return_path, ALL, size=1, body="7BIT", smtputf8=True)
    assert line.count("\r") == line.count("\n") == 1
    assert "\r" not in recipient
    assert "\n" not in recipient
