"""how a client session begins, statement by statement"""

from __future__ import annotations

from base64 import b64encode

import pytest

from pillarbox.protocol.errors import LocalProtocolError, RemoteProtocolError
from pillarbox.protocol.events import (
    Greeted,
    HelloAnswered,
    LoginAnswered,
    TlsAnswered,
    Unsolicited,
)
from pillarbox.protocol.opening import Opening
from pillarbox.protocol.pipeline import Expected
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ClientState
from pillarbox.terms.secret import Secret
from tests.pair import calling


class Caller(calling.Caller):
    def __init__(self, *keywords: str, hello: bool = True) -> None:
        super().__init__(Opening(), *keywords, hello=hello)


# --- banner and EHLO -----------------------------------------------------------------------------


def test_the_banner_is_waited_for() -> None:
    caller = Caller(hello=False)
    assert caller.session.expecting == "banner"
    assert not caller.session.usable
    with pytest.raises(LocalProtocolError, match="session is banner"):
        caller.session.hello("me")
    assert caller.hear("220 mail.example.com ESMTP") == [
        Greeted(Reply(220, None, ("mail.example.com ESMTP",)))
    ]
    assert caller.session.expecting is None


@pytest.mark.parametrize("code", [421, 450, 521, 554])
def test_a_refusal_at_the_banner_leaves_nothing_but_quit(code: int) -> None:
    caller = Caller(hello=False)
    (greeted,) = caller.hear(f"{code} go away")
    assert isinstance(greeted, Greeted)
    assert not caller.session.usable
    with pytest.raises(LocalProtocolError):
        caller.session.hello("me")
    caller.session.quit()
    assert caller.said() == (b"" if code == 421 else b"QUIT\r\n")


def test_ehlo_tells_what_the_peer_offers() -> None:
    caller = Caller(hello=False)
    caller.hear("220 hi")
    caller.session.hello("me.example.com")
    assert caller.said() == b"EHLO me.example.com\r\n"
    assert caller.session.expecting == "ehlo"
    with pytest.raises(LocalProtocolError, match="awaited already"):
        caller.session.hello("me.example.com")
    (answered,) = caller.hear("250-hi", "250-SIZE 1000", "250-AUTH PLAIN LOGIN", "250 STARTTLS")
    assert isinstance(answered, HelloAnswered)
    assert caller.session.usable
    assert caller.session.extensions.size_limit == 1000
    assert caller.session.extensions.mechanisms == {"PLAIN", "LOGIN"}


@pytest.mark.parametrize("code", [500, 502, 504])
def test_where_ehlo_is_not_known_helo_is_said(code: int) -> None:
    caller = Caller(hello=False)
    caller.hear("220 hi")
    caller.session.hello("me.example.com")
    caller.said()
    assert caller.hear(f"{code} what?") == []
    assert caller.said() == b"HELO me.example.com\r\n"
    assert caller.session.expecting == "ehlo"
    (answered,) = caller.hear("250 hi")
    assert isinstance(answered, HelloAnswered)
    assert caller.session.usable
    assert not caller.session.extensions.keywords


@pytest.mark.parametrize("lines", [["450 later"], ["550 never"], ["502 what?", "550 never"]])
def test_a_refused_hello_leaves_the_session_unusable(lines: list[str]) -> None:
    caller = Caller(hello=False)
    caller.hear("220 hi")
    caller.session.hello("me")
    heard = [event for line in lines for event in caller.hear(line)]
    assert [type(event) for event in heard] == [HelloAnswered]
    assert not caller.session.usable
    caller.session.quit()
    assert caller.said().endswith(b"QUIT\r\n")


# --- STARTTLS ------------------------------------------------------------------------------------


def test_after_starttls_everything_heard_is_forgotten() -> None:
    caller = Caller("STARTTLS", "AUTH PLAIN", "PIPELINING")
    caller.session.start_tls()
    assert caller.said() == b"STARTTLS\r\n"
    assert caller.session.expecting == "starttls"
    with pytest.raises(LocalProtocolError, match="not agreed"):
        caller.session.tls_started()
    (answered,) = caller.hear("220 go")
    assert isinstance(answered, TlsAnswered)
    assert not caller.session.usable
    caller.session.tls_started()
    assert not caller.session.extensions.keywords
    with pytest.raises(LocalProtocolError):
        caller.session.login("PLAIN", "shop", Secret("x"))
    caller.session.hello("me")
    caller.hear("250-hi", "250 AUTH LOGIN")
    assert caller.session.extensions.mechanisms == {"LOGIN"}


def test_a_refused_starttls_leaves_the_session_as_it_was() -> None:
    caller = Caller("STARTTLS")
    caller.session.start_tls()
    (answered,) = caller.hear("454 4.7.0 TLS not available")
    assert answered == TlsAnswered(Reply(454, "4.7.0", ("TLS not available",)))
    assert caller.session.usable


def test_starttls_that_was_not_offered_is_not_said() -> None:
    caller = Caller()
    with pytest.raises(LocalProtocolError, match="does not offer"):
        caller.session.start_tls()
    assert caller.said() == b""


@pytest.mark.parametrize(
    "behind", [b"250-fault\r\n250 AUTH PLAIN\r\n", b"2", b"\r\n", b"garbage\r\n", b"250 x\r\n2"]
)
def test_what_comes_with_the_220_of_starttls_is_never_taken_for_a_reply(behind: bytes) -> None:
    caller = Caller("STARTTLS")
    caller.session.start_tls()
    with pytest.raises(RemoteProtocolError, match="followed by more in clear"):
        caller.session.receive(b"220 go\r\n" + behind)
    assert caller.events() == []
    assert caller.session.state is ClientState.CLOSING
    assert not caller.session.usable
    with pytest.raises(LocalProtocolError):
        caller.session.tls_started()
    caller.session.receive(b"250 more\r\n")
    assert caller.events() == []


def test_what_comes_in_clear_before_the_handshake_is_never_taken_for_a_reply() -> None:
    caller = Caller("STARTTLS")
    caller.session.start_tls()
    caller.hear("220 go")
    with pytest.raises(RemoteProtocolError, match="handshake was due"):
        caller.session.receive(b"250-fault\r\n")
    assert not caller.session.usable


# --- AUTH ----------------------------------------------------------------------------------------


def test_plain_is_said_in_one_step() -> None:
    caller = Caller("AUTH PLAIN")
    caller.session.login("PLAIN", "shop", Secret("pa ss"))
    assert caller.said() == b"AUTH PLAIN " + b64encode(b"\0shop\0pa ss") + b"\r\n"
    assert caller.session.expecting == "auth"
    assert not caller.session.usable
    (answered,) = caller.hear("235 2.7.0 ok")
    assert answered == LoginAnswered(Reply(235, "2.7.0", ("ok",)))
    assert caller.session.usable


def test_login_is_said_step_by_step() -> None:
    caller = Caller("AUTH LOGIN")
    caller.session.login("login", "shop", Secret("pa ss"))
    assert caller.said() == b"AUTH LOGIN\r\n"
    assert caller.hear("334 VXNlcm5hbWU6") == []
    assert caller.said() == b64encode(b"shop") + b"\r\n"
    assert caller.hear("334 UGFzc3dvcmQ6") == []
    assert caller.said() == b64encode(b"pa ss") + b"\r\n"
    (answered,) = caller.hear("535 5.7.8 no")
    assert isinstance(answered, LoginAnswered)
    assert caller.session.usable


def test_a_server_that_never_stops_asking_is_told_to_stop() -> None:
    caller = Caller("AUTH PLAIN")
    caller.session.login("PLAIN", "shop", Secret("x"))
    caller.hear("334 ", "334 more")
    assert caller.said().endswith(b"*\r\n")
    (answered,) = caller.hear("501 5.7.0 cancelled")
    assert isinstance(answered, LoginAnswered)


def test_a_login_that_cannot_be_said_changes_nothing() -> None:
    caller = Caller("AUTH PLAIN")
    with pytest.raises(LocalProtocolError):
        caller.session.login("PLAIN", "a\0b", Secret("x"))
    assert caller.session.usable
    assert caller.said() == b""


# --- QUIT, what nobody asked for, and garbage ------------------------------------------------------


def test_quit_is_said_once_and_its_answer_swallowed() -> None:
    caller = Caller("PIPELINING")
    caller.session.quit()
    caller.session.quit()
    assert caller.said() == b"QUIT\r\n"
    assert caller.session.expecting == "quit"
    assert not caller.session.usable
    assert caller.hear("221 bye", "221 really") == []
    assert caller.session.expecting is None


def test_quit_in_the_middle_of_something_is_our_mistake() -> None:
    caller = Caller("AUTH PLAIN", "STARTTLS")
    caller.session.login("PLAIN", "shop", Secret("x"))
    with pytest.raises(LocalProtocolError, match="close the connection"):
        caller.session.quit()
    caller.hear("235 in")
    caller.session.start_tls()
    with pytest.raises(LocalProtocolError, match="close the connection"):
        caller.session.quit()


def test_a_reply_nobody_asked_for_ends_the_session() -> None:
    caller = Caller("PIPELINING")
    assert caller.hear("421 4.4.2 idle", "250 x") == [Unsolicited(Reply(421, "4.4.2", ("idle",)))]
    assert not caller.session.usable
    assert caller.hear("250 x") == []


def test_garbage_ends_the_session_and_what_came_before_can_be_taken() -> None:
    caller = Caller(hello=False)
    with pytest.raises(RemoteProtocolError, match="not an SMTP reply") as raised:
        caller.session.receive(b"220 hi\r\nHTTP/1.1 200 OK\r\n")
    assert raised.value.detail is not None
    assert [type(event) for event in caller.events()] == [Greeted]
    assert caller.session.expecting is None
    assert not caller.session.usable


def test_garbage_behind_the_end_is_not_looked_at() -> None:
    caller = Caller("PIPELINING")
    caller.session.receive(b"421 bye\r\ngarbage\r\n")
    assert [type(event) for event in caller.events()] == [Unsolicited]


def test_an_invitation_where_nothing_follows_is_the_servers_fault() -> None:
    caller = Caller(hello=False)
    with pytest.raises(RemoteProtocolError, match="go on"):
        caller.hear("354 go")
    assert not caller.session.usable
    caller = Caller("STARTTLS")
    caller.session.start_tls()
    with pytest.raises(RemoteProtocolError, match="go on"):
        caller.hear("334 abc")


def test_one_byte_at_a_time_is_the_same_opening() -> None:
    caller = Caller(hello=False)
    heard = []
    for octet in b"220-hi\r\n220 there\r\n":
        caller.session.receive(bytes([octet]))
        heard += caller.events()
    assert heard == [Greeted(Reply(220, None, ("hi", "there")))]


class Impatient(Opening):
    """Has something to say behind EHLO, as the session that knows transactions may have."""

    def hello(self, name: str) -> None:
        super().hello(name)
        self._pipeline.hold(b"QUIT\r\n", Expected.QUIT)


def test_an_answer_lets_out_what_was_held_back_for_it() -> None:
    caller = calling.Caller(Impatient(), hello=False)
    caller.hear("220 hi")
    caller.session.hello("me")
    assert caller.said() == b"EHLO me\r\n"
    caller.hear("250 hi")
    assert caller.said() == b"QUIT\r\n"
    assert caller.session.expecting == "quit"
