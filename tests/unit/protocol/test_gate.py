"""what stands in the way of a command, and that EHLO offers nothing that does"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from pillarbox.protocol import replies
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.gate import Gate
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ServerState

COMMAND, ENVELOPE = ServerState.COMMAND, ServerState.ENVELOPE


def limits(**wishes: object) -> ServerLimits:
    return ServerLimits(max_message_bytes=1000, max_recipients=10, **wishes)


def gate(*, said_hello: bool = True, logged_in: bool = False, **wishes: object) -> Gate:
    made = Gate(limits(**wishes))
    made.hello_said, made.logged_in = said_hello, logged_in
    return made


# --- one command after the other -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "state", "refusal"),
    [
        (gate(tls="starttls"), COMMAND, None),
        (gate(tls="starttls"), ENVELOPE, replies.TLS_IN_TRANSACTION),
        (gate(tls="starttls", said_hello=False), COMMAND, replies.HELLO_FIRST),
        (gate(tls="none", said_hello=False), COMMAND, replies.TLS_NOT_OFFERED),
        (gate(tls="active"), COMMAND, replies.TLS_ALREADY),
        (gate(tls="active"), ENVELOPE, replies.TLS_ALREADY),
    ],
)
def test_starttls_comes_after_ehlo_once_and_outside_transactions(
    made: Gate, state: ServerState, refusal: Reply | None
) -> None:
    assert made.starttls(state) == refusal


@pytest.mark.parametrize(
    ("made", "state", "refusal"),
    [
        (gate(tls="active"), COMMAND, None),
        (gate(auth="clear"), COMMAND, None),
        (gate(auth="clear"), ENVELOPE, replies.LOGIN_IN_TRANSACTION),
        (gate(auth="clear", said_hello=False), COMMAND, replies.HELLO_FIRST),
        (gate(auth="clear", logged_in=True), COMMAND, replies.LOGIN_ALREADY),
        (gate(tls="starttls"), COMMAND, replies.LOGIN_NEEDS_TLS),
        (gate(tls="starttls", said_hello=False), COMMAND, replies.LOGIN_NEEDS_TLS),
        (gate(tls="active", auth="none"), COMMAND, replies.LOGIN_NOT_OFFERED),
    ],
)
def test_auth_comes_where_logins_are_taken_once_and_outside_transactions(
    made: Gate, state: ServerState, refusal: Reply | None
) -> None:
    assert made.auth(state) == refusal


@pytest.mark.parametrize(
    ("made", "state", "refusal"),
    [
        (gate(), COMMAND, None),
        (gate(), ENVELOPE, replies.TRANSACTION_OPEN),
        (gate(said_hello=False), COMMAND, replies.HELLO_FIRST),
        (gate(tls="starttls", require_tls=True), COMMAND, replies.STARTTLS_FIRST),
        (gate(tls="active", require_tls=True), COMMAND, None),
        (
            gate(tls="starttls", require_tls=True, require_login=True),
            COMMAND,
            replies.STARTTLS_FIRST,
        ),
        (gate(tls="active", require_tls=True, require_login=True), COMMAND, replies.LOGIN_FIRST),
        (gate(auth="clear", require_login=True, logged_in=True), COMMAND, None),
    ],
)
def test_mail_comes_after_all_that_is_required_and_one_at_a_time(
    made: Gate, state: ServerState, refusal: Reply | None
) -> None:
    assert made.mail(state) == refusal


# --- what is forgotten, what is offered ------------------------------------------------------------


def test_tls_forgets_what_was_said_before_it() -> None:
    """RFC 3207 §4.2."""
    made = gate(tls="starttls", auth="clear", logged_in=True)
    made.secured()
    assert (made.tls, made.hello_said, made.logged_in) == (True, False, False)
    assert made.mail(COMMAND) == replies.HELLO_FIRST


@pytest.mark.parametrize(
    ("tls", "auth", "logged_in"),
    list(
        itertools.product(("none", "starttls", "active"), ("tls", "clear", "none"), (False, True))
    ),
)
def test_ehlo_offers_what_is_let_through_and_nothing_else(
    tls: str, auth: str, logged_in: bool
) -> None:
    made = gate(tls=tls, auth=auth, logged_in=logged_in)
    offered = {line.partition(" ")[0] for line in made.offer("mail.example.com").lines}
    asked: dict[str, Callable[[ServerState], Reply | None]] = {
        "STARTTLS": made.starttls,
        "AUTH": made.auth,
    }
    for keyword, ask in asked.items():
        assert (keyword in offered) == (ask(COMMAND) is None)
    assert made.offer("mail.example.com").lines[0] == "mail.example.com"
