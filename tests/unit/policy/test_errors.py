"""refusals carry the reply, the status and the sentence that the catalogue has for their code"""

from __future__ import annotations

import pytest

from pillarbox.policy import errors
from pillarbox.policy.errors import InvalidPattern, Refusal, SenderNotAllowed, WrongState
from pillarbox.protocol.reply import Reply
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.terms.errors import PillarboxError

REFUSALS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, PillarboxError) and value is not PillarboxError
]


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_names_a_code_of_the_catalogue(kind: type[PillarboxError]) -> None:
    assert kind.code in CATALOGUE
    assert str(kind()).endswith((".", "star", "in", "active", "here", "email", "path", "do"))


def test_reply_and_status_follow_from_the_code() -> None:
    refusal = SenderNotAllowed("app@other.test may not be used.")
    assert refusal.reply == Reply(550, "5.7.1", ("app@other.test may not be used.",))
    assert refusal.http_status == 403


def test_the_fix_is_the_second_line_of_the_reply() -> None:
    refusal = SenderNotAllowed("Not allowed.", fix="Use another one.")
    assert refusal.reply.lines == ("Not allowed.", "Use another one.")


def test_a_code_given_beats_the_code_of_the_class() -> None:
    refusal = Refusal("Too big.", code="message_too_large")
    assert (refusal.reply.code, refusal.reply.status, refusal.http_status) == (552, "5.3.4", 413)


def test_a_reply_and_status_given_are_kept() -> None:
    reply = Reply(451, "4.7.1", ("Later.",))
    refusal = Refusal("Later.", reply=reply, http_status=429)
    assert refusal.reply is reply
    assert refusal.http_status == 429


def test_a_code_without_smtp_text_is_refused_as_not_permitted() -> None:
    assert (WrongState().reply.code, WrongState().reply.status) == (550, "5.7.1")


def test_an_unknown_code_is_still_a_refusal() -> None:
    refusal = Refusal("No.", code="made_up")
    assert (refusal.reply.code, refusal.http_status) == (550, 403)


def test_what_outsiders_wrote_cannot_steer_a_terminal_or_end_a_line() -> None:
    refusal = SenderNotAllowed("a\x1b[2J\r\n250 ok\x00é is not allowed")
    assert refusal.reply.lines == ("a?[2J??250 ok?? is not allowed",)


def test_a_reply_line_stays_short_however_long_the_sentence() -> None:
    (line,) = Refusal("x" * 5000).reply.lines
    assert len(line) < 450
    assert len(Refusal("x" * 5000).reply.encode()) < 512


def test_a_pattern_error_is_no_refusal_of_mail() -> None:
    assert not issubclass(InvalidPattern, Refusal)
