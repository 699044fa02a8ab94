from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.policy.checkup import Result, StepName, failing_step
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import Mishap, from_broken, from_reply
from pillarbox.policy.remedy import failed_step
from pillarbox.policy.server import Encryption, Grant, OAuth, Server
from pillarbox.protocol.reply import Reply
from pillarbox.terms.ids import ObjectId

SERVER = Server(ObjectId(b"s" * 12), ObjectId(b"a" * 12), "relay", "smtp.example.com")


@pytest.mark.parametrize(
    ("stage", "reply", "words"),
    [
        (Stage.AUTH, (534, "5.7.9", "Application-specific password required"), "app password"),
        (Stage.AUTH, (535, "5.7.139", "Authentication unsuccessful, basic authentication is disabled"),
         "OAuth"),
        (Stage.AUTH, (535, "5.7.8", "Error: authentication failed"), "--ask-password"),
        (Stage.AUTH, (454, "4.7.0", "Temporary authentication failure"), "few minutes"),
        (Stage.MAIL, (550, "5.7.1", "Sender not allowed"), "--from-address"),
        (Stage.RCPT, (554, "5.7.1", "Relay access denied"), "Permit this sender"),
    ],
)  # fmt: skip
def test_a_reply_leads_to_what_can_be_done_about_it(
    stage: Stage, reply: tuple[int, str, str], words: str
) -> None:
    outcome = from_reply(stage, Reply.of(*reply))
    step = failed_step(failing_step(outcome, tuple(StepName)), outcome, SERVER, 5)
    assert step.result is Result.FAILED and step.milliseconds == 5
    assert words in f"{step.why} {step.fix}"
    assert reply[2] in step.words and str(reply[0]) in step.words


@pytest.mark.parametrize(
    ("stage", "said", "facts", "fix"),
    [
        (Stage.STARTTLS, "the server does not offer STARTTLS, and TLS is required", {}, "--port 465"),
        (Stage.STARTTLS, "the certificate of x was refused: it has expired", {}, "keeper"),
        (Stage.STARTTLS, "the certificate of x was refused: it is self-signed; name it", {},
         "--ca-file"),
        (Stage.STARTTLS, "the certificate of x was refused: it was issued for another name", {},
         "--host NAME"),
        (Stage.CONNECT, "cannot connect: nobody listens there", {}, "--port PORT"),
        (Stage.CONNECT, "cannot connect: the local address is not one of this machine", {},
         "--local-address"),
        (Stage.CONNECT, "cannot connect: 192.0.2.1 does not answer", {}, "port 587 or 465"),
        (Stage.AUTH, "the server offers neither AUTH PLAIN nor LOGIN, but GSSAPI", {}, "--no-auth"),
        (Stage.BANNER, "the server did not answer in time", {"port": 465}, "--encryption tls"),
        (Stage.BANNER, "the server closed the connection",
         {"port": 587, "encryption": Encryption.TLS}, "--encryption starttls"),
        (Stage.BANNER, "the server did not answer in time", {}, "belong to a mail server"),
    ],
)  # fmt: skip
def test_a_broken_line_leads_to_what_can_be_done_about_it(
    stage: Stage, said: str, facts: dict[str, Any], fix: str
) -> None:
    outcome = from_broken(stage, said)
    name = failing_step(outcome, (StepName.NAME, StepName.CONNECT))
    step = failed_step(name, outcome, replace(SERVER, **facts), 0)
    assert fix in step.fix, step
    assert "{" not in step.fix


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("it has no refresh token yet", "server authorize"),
        ("login.example.com cannot be asked: it does not answer", "firewall"),
        ("login.example.com refused: the client secret has expired", "page on OAuth"),
    ],
)
def test_a_login_by_token_leads_to_what_can_be_done_about_it(said: str, fix: str) -> None:
    server = replace(SERVER, oauth=OAuth("google", Grant.REFRESH_TOKEN, "id"))
    outcome = from_broken(Stage.AUTH, f"could not be logged in at: {said}")
    assert fix in failed_step(StepName.LOGIN, outcome, server, 0).fix


def test_whatever_happens_there_is_something_to_do() -> None:
    for stage in Stage:
        for mishap in (Mishap.DROP, Mishap.TIMEOUT):
            outcome = from_broken(stage, "it ended", mishap=mishap)
            for behind in ((), tuple(StepName)):
                assert failed_step(failing_step(outcome, behind), outcome, SERVER, 0).fix
        for code in (421, 450, 550, 599, 354):
            outcome = from_reply(stage, Reply.of(code, None, "no"))
            assert failed_step(failing_step(outcome, ()), outcome, SERVER, 0).fix


def test_what_a_stranger_says_is_bounded_and_cannot_format_our_words() -> None:
    outcome = from_reply(Stage.AUTH, Reply.of(535, "5.7.8", "{change} {0}" + "x" * 5000))
    step = failed_step(StepName.LOGIN, outcome, SERVER, 0)
    assert len(step.words) < 400 and "{change}" in step.words
