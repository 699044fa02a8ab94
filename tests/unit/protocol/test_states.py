"""every pair of state and trigger is listed or refused, in the tables and in the sessions"""

from __future__ import annotations

import itertools

import pytest

from pillarbox.protocol import replies
from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.server import ServerLimits, ServerSession
from pillarbox.protocol.states import (
    CLIENT,
    SERVER,
    ClientState,
    ClientTrigger,
    ServerState,
    ServerTrigger,
)
from pillarbox.terms.secret import Secret

S, T = ServerState, ServerTrigger
C, U = ClientState, ClientTrigger

# The life of a session written down a second time, by trigger instead of by state.
SERVER_LISTED = {
    T.GREETED: {S.GREETING: S.COMMAND},
    T.HELLO: {S.COMMAND: S.COMMAND, S.ENVELOPE: S.COMMAND, S.CHUNKS: S.COMMAND},
    T.RESET: {S.COMMAND: S.COMMAND, S.ENVELOPE: S.COMMAND, S.CHUNKS: S.COMMAND},
    T.STARTTLS: {S.COMMAND: S.HANDSHAKE},
    T.SECURED: {S.HANDSHAKE: S.COMMAND},
    T.AUTH: {S.COMMAND: S.EXCHANGE},
    T.LOGIN_ENDED: {S.EXCHANGE: S.COMMAND},
    T.MAIL: {S.COMMAND: S.ENVELOPE},
    T.RCPT: {S.ENVELOPE: S.ENVELOPE},
    T.DATA: {S.ENVELOPE: S.CONTENT},
    T.CHUNK: {S.COMMAND: S.CONTENT, S.ENVELOPE: S.CONTENT, S.CHUNKS: S.CONTENT},
    T.CHUNK_ENDED: {S.CONTENT: S.CHUNKS},
    T.CONTENT_ENDED: {S.CONTENT: S.DECIDING},
    T.DECIDED: {S.DECIDING: S.COMMAND},
    T.END: {state: S.CLOSING for state in S if state is not S.CLOSING},
}
CLIENT_LISTED = {
    U.GREETED: {C.BANNER: C.HELLO},
    U.HELLO: {C.HELLO: C.READY},
    U.STARTTLS: {C.READY: C.HANDSHAKE},
    U.TLS_REFUSED: {C.HANDSHAKE: C.READY},
    U.SECURED: {C.HANDSHAKE: C.HELLO},
    U.AUTH: {C.READY: C.EXCHANGE},
    U.LOGIN_ENDED: {C.EXCHANGE: C.READY},
    U.ENVELOPE: {C.READY: C.ENVELOPE},
    U.REFUSED: {C.ENVELOPE: C.READY},
    U.INVITED: {C.ENVELOPE: C.CONTENT},
    U.CONTENT_ENDED: {C.CONTENT: C.VERDICT},
    U.DECIDED: {C.VERDICT: C.READY},
    U.END: {state: C.CLOSING for state in C if state is not C.CLOSING},
}

LIMITS = ServerLimits(
    max_message_bytes=1000, max_recipients=10, max_errors=1000, tls="starttls", auth="clear"
)


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(S, T)))
def test_every_pair_of_the_server_is_listed_or_refused(state: S, trigger: T) -> None:
    assert SERVER[state].get(trigger) == SERVER_LISTED[trigger].get(state)


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(C, U)))
def test_every_pair_of_the_client_is_listed_or_refused(state: C, trigger: U) -> None:
    assert CLIENT[state].get(trigger) == CLIENT_LISTED[trigger].get(state)


def test_every_state_can_be_reached_and_left() -> None:
    for table in (SERVER, CLIENT):
        reached = {after for moves in table.values() for after in moves.values()}
        first = next(iter(table))
        assert reached | {first} == set(table)
        assert [state for state, moves in table.items() if not moves] == [list(table)[-1]]


# --- the server session keeps to its table -------------------------------------------------------


def server_in(state: S) -> ServerSession:
    session = ServerSession(LIMITS, "mail.example.com")
    if state is S.GREETING:
        return session
    session.greet(replies.banner("mail.example.com"))
    session.receive(b"EHLO me\r\n")
    said = {
        S.HANDSHAKE: b"STARTTLS\r\n",
        S.EXCHANGE: b"AUTH PLAIN\r\n",
        S.CLOSING: b"QUIT\r\n",
    }.get(state, b"")
    session.receive(said)
    if state in (S.ENVELOPE, S.CONTENT, S.CHUNKS, S.DECIDING):
        session.receive(b"MAIL FROM:<a@example.com>\r\n")
        session.reply(replies.RETURN_PATH_OK)
    if state in (S.CONTENT, S.CHUNKS, S.DECIDING):
        content = b"BDAT 1\r\na" if state is S.CHUNKS else b"DATA\r\n"
        session.receive(b"RCPT TO:<a@example.com>\r\n" + content)
        session.reply(replies.RECIPIENT_OK)
    if state is S.DECIDING:
        session.receive(b"a\r\n.\r\n")
    drain(session)
    assert session.state is state
    return session


def drain(session: ServerSession) -> bytes:
    while session.next_event() is not None:
        pass
    return session.bytes_to_send()


SAID = {
    T.HELLO: b"EHLO me\r\n",
    T.RESET: b"RSET\r\n",
    T.STARTTLS: b"STARTTLS\r\n",
    T.AUTH: b"AUTH PLAIN\r\n",
    T.MAIL: b"MAIL FROM:<a@example.com>\r\n",
    T.RCPT: b"RCPT TO:<a@example.com>\r\n",
    T.DATA: b"DATA\r\n",
    T.CHUNK: b"BDAT 3\r\n",
    T.END: b"QUIT\r\n",
}


@pytest.mark.parametrize(
    ("state", "trigger"), list(itertools.product([S.COMMAND, S.ENVELOPE, S.CHUNKS], SAID))
)
def test_a_command_does_what_the_table_says_or_is_refused(state: S, trigger: T) -> None:
    session = server_in(state)
    if state is S.ENVELOPE and trigger in (T.DATA, T.CHUNK):
        session.receive(b"RCPT TO:<a@example.com>\r\n")
        session.reply(replies.RECIPIENT_OK)
        drain(session)
    session.receive(SAID[trigger])
    if trigger in SERVER[state]:
        if not session.wants_more and trigger in (T.MAIL, T.RCPT):
            session.reply(replies.OK)
        assert session.state is SERVER[state][trigger]
        assert drain(session)[:1] in b"23"
    else:
        assert drain(session)[:9] == b"503 5.5.1"
        assert session.state is state


@pytest.mark.parametrize("state", [S.GREETING, S.HANDSHAKE, S.DECIDING, S.CLOSING])
@pytest.mark.parametrize("trigger", SAID)
def test_where_no_command_may_come_none_is_obeyed(state: S, trigger: T) -> None:
    session = server_in(state)
    session.receive(SAID[trigger])
    assert session.state is (S.CLOSING if state is S.HANDSHAKE else state)
    assert drain(session) == b""


@pytest.mark.parametrize("trigger", SAID)
def test_in_an_exchange_a_command_is_only_a_bad_response(trigger: T) -> None:
    session = server_in(S.EXCHANGE)
    session.receive(SAID[trigger])
    assert session.state is S.COMMAND
    assert drain(session)[:9] == b"501 5.5.2"


@pytest.mark.parametrize("trigger", SAID)
def test_in_content_a_command_is_only_content(trigger: T) -> None:
    session = server_in(S.CONTENT)
    session.receive(SAID[trigger])
    assert session.state is S.CONTENT
    assert drain(session) == b""


@pytest.mark.parametrize("state", [state for state in S if state is not S.CLOSING])
def test_the_server_may_end_it_anywhere(state: S) -> None:
    session = server_in(state)
    session.shut(replies.SHUTTING_DOWN)
    assert session.state is S.CLOSING
    assert drain(session).startswith(b"421 4.3.2")


# --- the client session keeps to its table -------------------------------------------------------


def client_in(state: C) -> ClientSession:
    session = ClientSession()
    if state is C.BANNER:
        return session
    session.receive(b"220 mail.example.com\r\n")
    if state is C.HELLO:
        return session
    session.hello("me")
    session.receive(b"250-mail.example.com\r\n250 STARTTLS\r\n")
    match state:
        case C.HANDSHAKE:
            session.start_tls()
            session.receive(b"220 go\r\n")
        case C.EXCHANGE:
            session.login("PLAIN", "a", Secret("b"))
        case C.ENVELOPE | C.CONTENT | C.VERDICT:
            session.envelope("a@b", ["c@d"])
        case C.CLOSING:
            session.quit()
    if state in (C.CONTENT, C.VERDICT):
        session.receive(b"250 a\r\n250 b\r\n354 c\r\n")
    if state is C.VERDICT:
        session.content(b"x")
    assert session.state is state
    return session


WANTED = {
    U.HELLO: lambda session: session.hello("me"),
    U.STARTTLS: lambda session: session.start_tls(),
    U.SECURED: lambda session: session.tls_started(),
    U.AUTH: lambda session: session.login("PLAIN", "a", Secret("b")),
    U.ENVELOPE: lambda session: session.envelope("a@b", ["c@d"]),
    U.CONTENT_ENDED: lambda session: session.content(b"x"),
}


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(C, WANTED)))
def test_a_wish_does_what_the_table_says_or_is_our_mistake(state: C, trigger: U) -> None:
    session = client_in(state)
    session.bytes_to_send()
    if trigger in CLIENT[state]:
        WANTED[trigger](session)
        expected = C.HELLO if trigger is U.HELLO else CLIENT[state][trigger]
        assert session.state is expected  # EHLO moves on when it is answered
    else:
        with pytest.raises(LocalProtocolError):
            WANTED[trigger](session)
        assert session.state is state
        assert session.bytes_to_send() == b""
