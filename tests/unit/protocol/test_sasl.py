"""logins are read strictly and said as every server knows them"""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.errors import (
    BadExchange,
    ExchangeCancelled,
    InputError,
    LocalProtocolError,
    MechanismMissing,
    UnknownMechanism,
)
from pillarbox.protocol.sasl import (
    BEARER,
    Claim,
    ClientExchange,
    LoginExchange,
    PlainExchange,
    begin,
)
from pillarbox.terms.secret import Secret


def b64(text: str | bytes) -> str:
    return b64encode(text.encode() if isinstance(text, str) else text).decode()


USER, PASSWORD = "shop@example.com", "pa ss wörd"
CLAIM = Claim("PLAIN", USER, Secret(PASSWORD))


# --- in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "plain", "Plain"])
def test_plain_with_an_initial_response_is_over_at_once(mechanism: str) -> None:
    _, step = begin(f"{mechanism} {b64(f'{chr(0)}{USER}{chr(0)}{PASSWORD}')}")
    assert step == CLAIM


def test_plain_without_one_is_asked_for_it() -> None:
    exchange, step = begin("PLAIN")
    assert step == ""
    assert exchange.respond(b64(f"\0{USER}\0{PASSWORD}")) == CLAIM


@pytest.mark.parametrize(("given_name", "kept"), [(USER, ""), ("other", "other"), ("", "")])
def test_the_identity_to_act_as_is_kept_where_it_is_another(given_name: str, kept: str) -> None:
    claim = PlainExchange().respond(b64(f"{given_name}\0{USER}\0x"))
    assert claim.authorization == kept


@pytest.mark.parametrize("password", ["", " ", " lead and trail ", "e\u0301", "é", "🔑"])
def test_every_character_of_a_password_counts(password: str) -> None:
    claim = PlainExchange().respond(b64(f"\0{USER}\0{password}"))
    assert claim.password.reveal() == password


@pytest.mark.parametrize(
    "line",
    [
        "",
        "=",
        "====",
        "a",
        "YQ=",
        "YQ===",
        "Y Q==",
        "YQ==\t",
        "ü",
        "!!!!",
        "AHVz!ZXIAcHc=",
        "AHVz ZXIAcHc=",
        "AHVzZXIAcHc",
        "AHVzZXIAcHdk=",
        "AHVzZXIAcHdk==",
        b64("no nuls"),
        b64("\0only one"),
        b64("\0a\0b\0c"),
        b64("\0\0password"),
        b64("\0\0"),
        b64(b"\0user\0\xff"),
    ],
)
def test_a_malformed_plain_response_is_refused(line: str) -> None:
    with pytest.raises(BadExchange) as raised:
        PlainExchange().respond(line)
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.5.2")


def test_an_initial_response_of_nothing_is_nothing() -> None:
    with pytest.raises(BadExchange):
        begin("PLAIN =")
    with pytest.raises(BadExchange):
        begin("LOGIN =")


def test_login_asks_for_name_and_password_in_the_words_every_client_knows() -> None:
    exchange, step = begin("LOGIN")
    assert step == "VXNlcm5hbWU6"
    assert exchange.respond(b64(USER)) == "UGFzc3dvcmQ6"
    assert exchange.respond(b64(PASSWORD)) == Claim("LOGIN", USER, Secret(PASSWORD))


def test_login_takes_the_name_with_the_command() -> None:
    exchange, step = begin(f"login  {b64(USER)}")
    assert step == "UGFzc3dvcmQ6"
    assert exchange.respond(b64(PASSWORD)) == Claim("LOGIN", USER, Secret(PASSWORD))


def test_login_takes_an_empty_password_and_leaves_the_verdict_to_others() -> None:
    exchange = LoginExchange()
    exchange.respond(b64(USER))
    assert exchange.respond("") == Claim("LOGIN", USER, Secret(""))


@pytest.mark.parametrize("line", ["", "!", b64("a\0b"), b64(b"\xff")])
def test_a_malformed_user_name_is_refused(line: str) -> None:
    with pytest.raises(BadExchange):
        LoginExchange().respond(line)


def test_an_asterisk_ends_every_exchange() -> None:
    with pytest.raises(ExchangeCancelled) as raised:
        PlainExchange().respond("*")
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.7.0")
    exchange = LoginExchange()
    exchange.respond(b64(USER))
    with pytest.raises(ExchangeCancelled):
        exchange.respond("*")


@pytest.mark.parametrize("argument", ["CRAM-MD5", "XOAUTH2 abc", "ANONYMOUS", "PLAI"])
def test_another_mechanism_is_refused(argument: str) -> None:
    with pytest.raises(UnknownMechanism) as raised:
        begin(argument)
    assert (raised.value.answer.code, raised.value.answer.status) == (504, "5.5.4")
    assert raised.value.detail == f"AUTH {argument.partition(' ')[0]}", "but for what followed it"


def test_auth_without_a_mechanism_is_told_to_name_one() -> None:
    with pytest.raises(MechanismMissing):
        begin("")


@given(st.sampled_from(["PLAIN", "LOGIN"]), st.lists(st.binary(max_size=20).map(b64) | st.text()))
def test_any_exchange_ends_in_a_claim_a_question_or_a_refusal(
    mechanism: str, lines: list[str]
) -> None:
    exchange, step = begin(mechanism)
    for line in lines:
        try:
            step = exchange.respond(line)
        except InputError as error:
            assert error.answer.severity == 5
            return
        if isinstance(step, Claim):
            assert step.username
            assert "\0" not in step.username + step.password.reveal()
            return


# --- out ---------------------------------------------------------------------------------------


def test_plain_is_said_in_one_line() -> None:
    exchange = ClientExchange("plain", USER, Secret(PASSWORD))
    assert exchange.command == f"AUTH PLAIN {b64(f'{chr(0)}{USER}{chr(0)}{PASSWORD}')}"


def test_plain_is_said_again_to_a_server_that_overlooked_it_and_then_given_up() -> None:
    exchange = ClientExchange("PLAIN", USER, Secret(PASSWORD))
    response = exchange.command.removeprefix("AUTH PLAIN ")
    assert [exchange.answer(""), exchange.answer(""), exchange.answer("")] == [response, "*", "*"]


def test_a_long_plain_response_waits_for_the_challenge() -> None:
    exchange = ClientExchange("PLAIN", USER, Secret("x" * 1000))
    assert exchange.command == "AUTH PLAIN"
    assert b64decode(exchange.answer("")).endswith(b"x" * 1000)
    assert exchange.answer("") == "*"


def test_login_is_said_step_by_step() -> None:
    exchange = ClientExchange("LOGIN", USER, Secret(PASSWORD))
    assert exchange.command == "AUTH LOGIN"
    answers = [
        exchange.answer("VXNlcm5hbWU6"),
        exchange.answer("UGFzc3dvcmQ6"),
        exchange.answer(""),
    ]
    assert answers == [b64(USER), b64(PASSWORD), "*"]


def test_xoauth2_hears_the_error_and_asks_for_the_verdict() -> None:
    exchange = ClientExchange("XOAUTH2", USER, Secret("ya29.token"))
    said = b64decode(exchange.command.removeprefix("AUTH XOAUTH2 ")).decode()
    assert said == f"user={USER}\1auth=Bearer ya29.token\1\1"
    assert [exchange.answer(b64('{"status":"401"}')), exchange.answer("")] == ["", "*"]


def test_oauthbearer_names_user_host_and_port_and_answers_a_failure_as_its_rfc_asks() -> None:
    exchange = ClientExchange(
        "OAUTHBEARER", "a=b,c@example.com", Secret("t"), host="smtp.example.com", port=587
    )
    said = b64decode(exchange.command.removeprefix("AUTH OAUTHBEARER ")).decode()
    assert said == (
        "n,a=a=3Db=2Cc@example.com,\1host=smtp.example.com\1port=587\1auth=Bearer t\1\1"
    )
    assert exchange.answer(b64('{"status":"invalid_token"}')) == b64("\1")
    assert exchange.answer("") == "*"


@pytest.mark.parametrize("mechanism", BEARER)
def test_a_long_token_waits_for_the_challenge_and_the_reason_of_its_refusal_is_kept(
    mechanism: str,
) -> None:
    exchange = ClientExchange(mechanism, USER, Secret("x" * 2000))
    assert exchange.command == f"AUTH {mechanism}"
    assert b"x" * 2000 in b64decode(exchange.answer(""))
    exchange.answer(b64('{"status":"400",\n "scope":"https://mail.google.com/"}'))
    assert exchange.reason == '{"status":"400", "scope":"https://mail.google.com/"}'
    assert exchange.answer("") == "*"


@pytest.mark.parametrize(
    "challenge", ["", "%%%", b64("\x1b[31m"), b64("you said ya29.token"), "gICAgA=="]
)
def test_a_reason_that_cannot_be_shown_or_repeats_the_token_is_none(challenge: str) -> None:
    exchange = ClientExchange("XOAUTH2", USER, Secret("ya29.token"))
    exchange.answer(challenge or "=")
    assert exchange.reason == ""


def test_xoauth2_is_said_again_to_a_server_that_overlooked_it() -> None:
    exchange = ClientExchange("XOAUTH2", USER, Secret("ya29.token"))
    response = exchange.command.removeprefix("AUTH XOAUTH2 ")
    assert [exchange.answer(""), exchange.answer("e30="), exchange.answer("")] == [
        response,
        "",
        "*",
    ]


@pytest.mark.parametrize(
    ("user", "password"), [("a\0b", "x"), ("a", "x\0y"), ("a\1b", "x"), ("a", "\1")]
)
def test_what_no_mechanism_can_say_is_our_mistake(user: str, password: str) -> None:
    with pytest.raises(LocalProtocolError, match="control characters"):
        ClientExchange("PLAIN", user, Secret(password))


def test_a_mechanism_we_cannot_speak_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="not known here"):
        ClientExchange("CRAM-MD5", USER, Secret(PASSWORD))


@given(st.text(min_size=1), st.text())
def test_what_the_client_says_the_server_understands(user: str, password: str) -> None:
    for mechanism in ("PLAIN", "LOGIN"):
        try:
            client = ClientExchange(mechanism, user, Secret(password))
        except (LocalProtocolError, UnicodeEncodeError):
            return
        exchange, step = begin(client.command.removeprefix("AUTH "))
        while isinstance(step, str):
            step = exchange.respond(client.answer(step))
        assert step == Claim(mechanism, user, Secret(password))
