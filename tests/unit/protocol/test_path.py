"""paths and their parameters are read to the letter, and nothing else is let through"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.errors import (
    BadParameter,
    BadRecipient,
    BadReturnPath,
    InputError,
    UnannouncedUtf8,
    UnknownParameter,
)
from pillarbox.protocol.path import (
    decode_xtext,
    encode_unicode,
    encode_xtext,
    format_original,
    parse_mail,
    parse_rcpt,
)

OFFERED = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "BY"})
FOR_RCPT = frozenset({"NOTIFY", "ORCPT"})


def rcpt(argument: str, *, utf8: bool = False) -> tuple[str, dict[str, str]]:
    return parse_rcpt(argument, FOR_RCPT, utf8=utf8)


@pytest.mark.parametrize(
    ("argument", "return_path"),
    [
        ("FROM:<a@example.com>", "a@example.com"),
        ("fRoM:<MiXed@EXAMPLE.com>", "MiXed@example.com"),
        ("FROM: <a@example.com>", "a@example.com"),
        ("FROM:<>", ""),
        ("FROM:<a@example.com> ", "a@example.com"),
        ("FROM:<@one.example,@two.example:a@example.com>", "a@example.com"),
        ('FROM:<"a b"@example.com>', '"a b"@example.com'),
        ('FROM:<"a>b"@example.com>', '"a>b"@example.com'),
        ('FROM:<"a\\">"@example.com>', '"a\\">"@example.com'),
        ('FROM:<"@"@example.com>', '"@"@example.com'),
        ("FROM:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
        ("FROM:<a@[ipv6:::1]>", "a@[IPv6:::1]"),
    ],
)
def test_a_return_path_is_read_and_its_domain_folded(argument: str, return_path: str) -> None:
    assert parse_mail(argument, OFFERED) == (return_path, {})


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "FROM:",
        "TO:<a@example.com>",
        "FROM:a@example.com",
        "FROM <a@example.com>",
        "FROM:<a@example.com",
        "FROM:a@example.com>",
        "FROM:<a@example.com>SIZE=1",
        "FROM:<a@example.com>>",
        "FROM:<a>",
        "FROM:< a@example.com >",
        "FROM:<a@example.com\r>",
        "FROM:<a@example.com SIZE=1>",
        'FROM:<"a>@example.com>',
        "FROM:<<a@example.com>>",
        "FROM:<@one.example>",
        "FROM:<@one.example:>",
        "FROM:<@:a@example.com>",
        "FROM:<@one.example,two.example:a@example.com>",
        "FROM:<@one example:a@example.com>",
    ],
)
def test_what_is_no_return_path_is_refused(argument: str) -> None:
    with pytest.raises(BadReturnPath) as raised:
        parse_mail(argument, OFFERED)
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.1.7")


def test_the_refusal_says_what_is_wrong_without_repeating_it() -> None:
    with pytest.raises(BadRecipient) as raised:
        rcpt("TO:<zqx zqx@example.com>")
    assert "space" in raised.value.answer.text
    assert "zqx" not in raised.value.answer.text
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.1.3")


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("TO:<a@example.com>", "a@example.com"),
        ("to: <MiXed@EXAMPLE.com>", "MiXed@example.com"),
        ("TO:<postmaster>", "postmaster"),
        ("TO:<Postmaster>", "Postmaster"),
        ("TO:<@one.example:a@example.com>", "a@example.com"),
        ("TO:<a%b@example.com>", "a%b@example.com"),
    ],
)
def test_a_recipient_is_read(argument: str, address: str) -> None:
    assert rcpt(argument) == (address, {})


@pytest.mark.parametrize(
    "argument", ["TO:<>", "TO:<a>", "TO:", "FROM:<a@example.com>", "TO:<@a:b>"]
)
def test_what_is_no_recipient_is_refused(argument: str) -> None:
    with pytest.raises(BadRecipient):
        rcpt(argument)


def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    for argument in ("FROM:<ü@example.com>", "FROM:<a@bücher.example>"):
        with pytest.raises(UnannouncedUtf8):
            parse_mail(argument, OFFERED)
        with pytest.raises(UnannouncedUtf8):
            rcpt(argument.replace("FROM", "TO"))
    announced = parse_mail("FROM:<ü@bücher.example> SMTPUTF8", OFFERED)
    assert announced == ("ü@xn--bcher-kva.example", {"SMTPUTF8": ""})
    assert rcpt("TO:<ü@bücher.example>", utf8=True) == ("ü@xn--bcher-kva.example", {})


# --- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SIZE=1024", {"SIZE": "1024"}),
        ("size=0", {"SIZE": "0"}),
        ("BODY=8bitmime SIZE=1", {"BODY": "8BITMIME", "SIZE": "1"}),
        ("BODY=7BIT", {"BODY": "7BIT"}),
        (" SIZE=1  BODY=7BIT ", {"SIZE": "1", "BODY": "7BIT"}),
        ("RET=full ENVID=QQ+2B314", {"RET": "FULL", "ENVID": "QQ+314"}),
        ("RET=HDRS", {"RET": "HDRS"}),
        ("AUTH=<>", {"AUTH": "<>"}),
        ("AUTH=e+3Dmc2@example.com", {"AUTH": "e=mc2@example.com"}),
        ("ENVID=" + "x" * 100, {"ENVID": "x" * 100}),
        ("ENVID=+20a+2B+3D", {"ENVID": " a+="}),
        ("BY=120;R", {"BY": "120;R"}),
        ("BY", {"BY": ""}),
        ("SMTPUTF8", {"SMTPUTF8": ""}),
    ],
)
def test_parameters_of_mail_are_checked_and_decoded(text: str, parameters: dict[str, str]) -> None:
    assert parse_mail(f"FROM:<a@example.com> {text}", OFFERED) == ("a@example.com", parameters)
    assert parse_mail(f"FROM:<> {text}", OFFERED) == ("", parameters)


@pytest.mark.parametrize(
    "text",
    [
        "SIZE=",
        "SIZE=abc",
        "SIZE=-1",
        "SIZE=+1",
        "SIZE=1_0",
        "SIZE=١",
        "SIZE",
        "SIZE=" + "9" * 21,
        "SIZE=1 size=1",
        "BODY=BINARYMIME",
        "BODY",
        "SMTPUTF8=",
        "SMTPUTF8=1",
        "RET=BOTH",
        "RET",
        "ENVID=",
        "ENVID=a=b",
        "ENVID=a+b",
        "ENVID=a+3",
        "ENVID=a+2b",
        "ENVID=a+0D+0ABcc:",
        "ENVID=+FF",
        "ENVID=+C3+BC",
        "ENVID=+09",
        "ENVID=ü",
        "ENVID=" + "x" * 101,
        "AUTH=",
        "AUTH=+00",
        "BY=a=b",
        "BY=\x7f",
    ],
)
def test_malformed_parameters_of_mail_are_refused(text: str) -> None:
    with pytest.raises(BadParameter) as raised:
        parse_mail(f"FROM:<a@example.com> {text}", OFFERED)
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.5.4")


@pytest.mark.parametrize("text", ["XYZ", "XYZ=1", "=", "=1", "SIZE=1 NOTIFY=NEVER", "\tSIZE=1"])
def test_parameters_that_were_not_offered_are_refused(text: str) -> None:
    with pytest.raises(UnknownParameter):
        parse_mail(f"FROM:<a@example.com> {text}", OFFERED)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("NOTIFY=NEVER", {"NOTIFY": "NEVER"}),
        ("notify=success,Failure,DELAY", {"NOTIFY": "SUCCESS,FAILURE,DELAY"}),
        ("ORCPT=rfc822;a+2Bb@example.com", {"ORCPT": "rfc822;a+b@example.com"}),
        ("ORCPT=RFC822;A@Example.COM", {"ORCPT": "RFC822;A@Example.COM"}),
        ("ORCPT=x400;/S+3Da/C+3Dde+20b/", {"ORCPT": "x400;/S=a/C=de b/"}),
        ("ORCPT=utf-8;a\\x{2B}\\x{FC}@b\\x{1F4EE}.example", {"ORCPT": "utf-8;a+ü@b📮.example"}),
        ("ORCPT=UTF-8;a@example.com", {"ORCPT": "UTF-8;a@example.com"}),
        ("ORCPT=rfc822;+C3+BC@example.com", {"ORCPT": "rfc822;ü@example.com"}),
        ("ORCPT=rfc822;" + "x" * 493, {"ORCPT": "rfc822;" + "x" * 493}),
    ],
)
def test_parameters_of_rcpt_are_checked_and_decoded(text: str, parameters: dict[str, str]) -> None:
    assert rcpt(f"TO:<a@example.com> {text}") == ("a@example.com", parameters)


@pytest.mark.parametrize(
    "text",
    [
        "NOTIFY=",
        "NOTIFY",
        "NOTIFY=SOMETIMES",
        "NOTIFY=NEVER,FAILURE",
        "NOTIFY=FAILURE,FAILURE",
        "NOTIFY=FAILURE,",
        "NOTIFY=FAILURE NOTIFY=DELAY",
        "ORCPT=a@example.com",
        "ORCPT=;a@example.com",
        "ORCPT=rfc822;",
        "ORCPT=rfc 822;a",
        "ORCPT=rfc822;a+0D+0Ab",
        "ORCPT=rfc822;a=b@example.com",
        "ORCPT=rfc822;ü@example.com",
        "ORCPT=utf-8;ü@example.com",
        "ORCPT=utf-8;",
        "ORCPT=utf-8;a+2Bb@example.com",
        "ORCPT=utf-8;a\\b@example.com",
        "ORCPT=utf-8;a\\x{0D}b@example.com",
        "ORCPT=utf-8;a\\x{D800}b@example.com",
        "ORCPT=utf-8;a\\x{FFFFFF}b@example.com",
        "ORCPT=utf-8;a\\x{fc}b@example.com",
        "ORCPT=RFC822;a@example.com ORCPT=RFC822;a@example.com",
        "ORCPT=rfc822;" + "x" * 494,
    ],
)
def test_malformed_parameters_of_rcpt_are_refused(text: str) -> None:
    with pytest.raises((BadParameter, UnknownParameter)):
        rcpt(f"TO:<a@example.com> {text}")


def test_without_dsn_rcpt_has_no_parameters() -> None:
    with pytest.raises(UnknownParameter):
        parse_rcpt("TO:<a@example.com> NOTIFY=NEVER", frozenset(), utf8=False)


# --- xtext -------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=40).filter(str.isprintable))
def test_xtext_round_trips_whatever_prints(text: str) -> None:
    encoded = encode_xtext(text)
    assert decode_xtext(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set(" =\r\n")


@given(st.text(max_size=60))
def test_any_argument_is_read_or_refused_and_what_is_read_is_harmless(text: str) -> None:
    for argument in (f"FROM:<{text}>", f"FROM:<a@example.com> {text}", text):
        try:
            return_path, parameters = parse_mail(argument, OFFERED)
        except InputError as error:
            assert error.answer.severity == 5
            continue
        assert all(word.isprintable() for word in parameters.values())
        assert not set(return_path) & set("\r\n\0")


def test_an_original_address_beyond_ascii_may_be_written_out_where_smtputf8_was_announced() -> None:
    told = rcpt("TO:<ü@example.com> ORCPT=utf-8;ü\\x{2B}a@bücher.example", utf8=True)
    assert told == ("ü@example.com", {"ORCPT": "utf-8;ü+a@bücher.example"})
    for wrong in ("NOTIFY=NÖ", "ORCPT=rfc822;ü@example.com", "ORCPT=ütf-8;a@example.com"):
        with pytest.raises(BadParameter):
            rcpt(f"TO:<a@example.com> {wrong}", utf8=True)


@pytest.mark.parametrize(
    ("original", "said"),
    [
        ("rfc822;a@example.com", "rfc822;a@example.com"),
        ("RFC822;A+b=c@Example.com", "RFC822;A+2Bb+3Dc@Example.com"),
        ("x400;/S=a b/", "x400;/S+3Da+20b/"),
        ("utf-8;ü+a\\@b.example", "utf-8;\\x{FC}\\x{2B}a\\x{5C}@b.example"),
    ],
)
def test_an_original_address_is_said_again_as_it_came(original: str, said: str) -> None:
    assert format_original(original) == said
    assert rcpt(f"TO:<a@example.com> ORCPT={said}")[1]["ORCPT"] == original


@given(st.text(st.characters(min_codepoint=33), min_size=1, max_size=30).filter(str.isprintable))
def test_any_address_survives_in_seven_bits(address: str) -> None:
    said = encode_unicode(address)
    assert said.isascii()
    assert " " not in said
    if len(said) < 490:
        assert rcpt(f"TO:<a@example.com> ORCPT=utf-8;{said}")[1]["ORCPT"] == f"utf-8;{address}"
