from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.policy.checkup import (
    Result,
    Step,
    StepName,
    clear_step,
    days_left,
    failing_step,
    is_unchecked,
    login_step,
    plan,
    refused_sender,
    senders_for,
    sentence_of,
    shortened,
    tls_step,
    warnings_of,
)
from pillarbox.policy.directory import App
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import from_broken, from_reply
from pillarbox.policy.server import Encryption, Kind, SenderRule, Server
from pillarbox.protocol.reply import Reply
from pillarbox.terms.ids import ObjectId

SERVER = Server(ObjectId(b"s" * 12), ObjectId(b"a" * 12), "relay", "smtp.example.com")
APP = App(SERVER.app, ObjectId(b"c" * 12), "shop")
ME = "me@example.com"
DAY_MS = 86_400_000


def server(**facts: Any) -> Server:
    return replace(SERVER, **facts)


# --- steps ------------------------------------------------------------------------------------


def test_tls_from_the_start_comes_before_the_greeting_and_starttls_behind_it() -> None:
    first = plan(server(encryption=Encryption.TLS))
    assert first.index(StepName.TLS) < first.index(StepName.GREETING)
    later = plan(server(encryption=Encryption.STARTTLS))
    assert later.index(StepName.TLS) > later.index(StepName.GREETING)
    assert set(first) == set(later) == set(StepName)


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (Stage.BANNER, StepName.GREETING),
        (Stage.EHLO, StepName.GREETING),
        (Stage.STARTTLS, StepName.TLS),
        (Stage.AUTH, StepName.LOGIN),
        (Stage.MAIL, StepName.SENDER),
        (Stage.DATA, StepName.MAIL),
        (Stage.VERDICT, StepName.MAIL),
    ],
)
def test_a_broken_line_fails_at_the_step_of_its_stage(stage: Stage, step: StepName) -> None:
    outcome = from_broken(stage, "the server closed the connection")
    assert failing_step(outcome, {StepName.NAME, StepName.CONNECT}) is step


def test_without_an_address_it_is_the_name_that_failed() -> None:
    outcome = from_broken(Stage.CONNECT, "there is no host of that name")
    assert failing_step(outcome, ()) is StepName.NAME
    assert failing_step(outcome, {StepName.NAME}) is StepName.CONNECT


def test_a_sender_refused_with_the_recipient_is_the_senders_step() -> None:
    reply = Reply.of(550, "5.7.1", "<a@example.com>: Sender address rejected: not owned by user")
    assert failing_step(from_reply(Stage.RCPT, reply), ()) is StepName.SENDER
    nobody = Reply.of(550, "5.1.1", "no such user")
    assert failing_step(from_reply(Stage.RCPT, nobody), ()) is StepName.MAIL


# --- TLS --------------------------------------------------------------------------------------


def test_a_good_certificate_is_told_with_its_days() -> None:
    step = tls_step(SERVER, "TLSv1.3", 9, days_left=71, for_its_name=True)
    assert step == Step(
        StepName.TLS, Result.OK, "TLS 1.3, certificate valid 71 days, matches name", 9
    )


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    assert tls_step(SERVER, "TLSv1.3", 0, days_left=13, for_its_name=True).result is Result.WARN
    assert tls_step(SERVER, "TLSv1.3", 0, days_left=14, for_its_name=True).result is Result.OK


def test_a_certificate_nobody_checks_is_a_warning_unless_its_key_is_pinned() -> None:
    step = tls_step(server(verify=False), "TLSv1.2", 0, days_left=90, for_its_name=False)
    assert step.result is Result.WARN
    assert step.words == "TLS 1.2, certificate valid 90 days, issued for another name; NOT CHECKED"
    pinned = tls_step(server(verify=False, pin="ab" * 32), "TLSv1.2", 0, days_left=90)
    assert pinned.result is Result.OK


def test_a_clear_connection_says_what_can_be_read() -> None:
    assert "login and mail" in clear_step(server(username="me")).why
    assert "login" not in clear_step(server(username="me", auth=False)).why


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_nobody_is_in_between(host: str) -> None:
    here = server(host=host, encryption=Encryption.NONE)
    assert clear_step(here).result is Result.OK
    assert not warnings_of(here)


@pytest.mark.parametrize(
    ("facts", "warned"),
    [
        ({}, 0),
        ({"verify": False}, 1),
        ({"verify": False, "pin": "ab" * 32}, 0),
        ({"encryption": Encryption.NONE, "verify": False}, 1),
        ({"kind": Kind.DIRECT, "verify": False}, 0),
    ],
)
def test_whoever_looks_at_a_server_is_warned_of_what_others_can_read(
    facts: dict[str, Any], warned: int
) -> None:
    assert len(warnings_of(server(**facts))) == warned


def test_only_what_encrypts_has_a_certificate_that_could_be_checked() -> None:
    assert is_unchecked(server(verify=False))
    assert not is_unchecked(server(verify=False, encryption=Encryption.NONE))
    assert not is_unchecked(SERVER)


def test_days_left_are_whole_days_and_never_below_none() -> None:
    assert days_left(10 * DAY_MS + 1, 3 * DAY_MS) == 7
    assert days_left(10 * DAY_MS - 1, 3 * DAY_MS) == 6
    assert days_left(0, 3 * DAY_MS) == 0


def test_a_login_nobody_wants_is_said_so() -> None:
    assert login_step("PLAIN", 3).words == "PLAIN accepted"
    assert login_step("", 0).words == "none is set up"


# --- senders ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "app_from", "tried"),
    [
        ({}, "shop@example.com", ("shop@example.com",)),
        ({"from_address": "r@example.net"}, "shop@example.com",
         ("shop@example.com", "r@example.net")),
        ({"from_address": "r@example.net", "sender_rule": SenderRule.ALWAYS}, "shop@example.com",
         ("r@example.net",)),
        ({"from_address": "r@example.net", "allowed_senders": ("example.net",)},
         "shop@example.com", ("r@example.net",)),
        ({"from_address": "r@example.net", "allowed_senders": ("example.com",)},
         "shop@example.com", ("shop@example.com", "r@example.net")),
        ({"sender_rule": SenderRule.ALWAYS}, "shop@example.com", ("shop@example.com",)),
        ({"username": "login@example.net"}, "", ("login@example.net",)),
        ({"username": "AKIA"}, "", (ME,)),
        ({}, "", (ME,)),
        ({"from_address": "a@example.com"}, "a@example.com", ("a@example.com",)),
    ],
)  # fmt: skip
def test_senders_are_tried_as_delivery_would_choose_them(
    facts: dict[str, Any], app_from: str, tried: tuple[str, ...]
) -> None:
    assert senders_for(server(**facts), replace(APP, from_address=app_from), ME) == tried


def test_a_refused_sender_with_another_behind_it_is_only_a_warning() -> None:
    outcome = from_reply(Stage.MAIL, Reply.of(550, "5.7.1", "not yours"))
    step = refused_sender("a@example.com", outcome, "b@example.com", 4)
    assert step.result is Result.WARN and "b@example.com" in step.fix
    assert step.words == "a@example.com was refused: 550 not yours"


# --- the sentence -----------------------------------------------------------------------------


def test_the_sentence_is_that_of_the_step_that_failed() -> None:
    good = Step(StepName.NAME, Result.OK, "x")
    bad = Step(StepName.LOGIN, Result.FAILED, "relay did not accept it: 535 no")
    assert sentence_of(SERVER, [good, bad], ME) == "login: relay did not accept it: 535 no"
    assert ME in sentence_of(SERVER, [good], ME)
    assert "No mail was sent" in sentence_of(SERVER, [good], "")


def test_words_are_one_line_of_bounded_length() -> None:
    assert shortened("a\r\n  b\tc") == "a b c"
    assert len(shortened("x" * 5000)) < 310
