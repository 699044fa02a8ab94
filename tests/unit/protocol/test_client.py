"""transactions as the client sees them, statement by statement"""

from __future__ import annotations

import pytest

from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import LocalProtocolError, RemoteProtocolError
from pillarbox.protocol.events import EnvelopeAnswered, VerdictReceived
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ClientState
from tests.pair import calling

PIPELINING = "PIPELINING"
RCPTS = ["b@example.net", "c@example.net"]
GROUP = (
    b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n"
)


class Caller(calling.Caller):
    def __init__(self, *keywords: str) -> None:
        super().__init__(ClientSession(), *keywords)

    def envelope(self, recipients: list[str] | None = None) -> bytes:
        self.session.envelope("a@example.com", recipients or RCPTS)
        return self.said()


def ready(*keywords: str) -> Caller:
    caller = Caller(*(keywords or (PIPELINING,)))
    caller.envelope()
    (answered,) = caller.hear("250 a", "250 b", "250 c", "354 go")
    assert answered.ready
    return caller


# --- the envelope, pipelined ----------------------------------------------------------------------


def test_an_envelope_goes_out_in_one_group() -> None:
    caller = Caller(PIPELINING)
    assert caller.envelope() == GROUP
    assert caller.session.expecting == "envelope"
    assert not caller.session.usable
    assert caller.hear("250 2.1.0 Ok", "250 2.1.5 Ok", "550 5.1.1 No") == []
    assert caller.session.expecting == "data"
    assert caller.hear("354 go") == [
        EnvelopeAnswered(
            Reply(250, "2.1.0", ("Ok",)),
            (Reply(250, "2.1.5", ("Ok",)), Reply(550, "5.1.1", ("No",))),
            Reply(354, None, ("go",)),
            True,
        )
    ]


def test_parameters_are_said_where_they_were_offered() -> None:
    wishes = {"size": 10, "body": "8BITMIME", "smtputf8": True}
    caller = Caller(PIPELINING, "SIZE", "8BITMIME", "SMTPUTF8")
    caller.session.envelope("ü@example.com", ["b@example.net"], **wishes)
    assert caller.said().startswith(
        "MAIL FROM:<ü@example.com> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n".encode()
    )
    caller = Caller(PIPELINING)
    caller.session.envelope("", ["b@example.net"], **wishes)
    assert caller.said().startswith(b"MAIL FROM:<>\r\n")


@pytest.mark.parametrize("pipelining", [True, False])
def test_wishes_for_reports_are_said_where_they_are_known_and_nowhere_else(
    pipelining: bool,
) -> None:
    wishes = {
        "report": "HDRS",
        "envelope_id": "a=1",
        "wishes": [" NOTIFY=NEVER", " ORCPT=rfc822;c@example.org"],
    }
    caller = Caller("DSN", *([PIPELINING] if pipelining else []))
    caller.session.envelope("a@example.com", RCPTS, **wishes)
    said = caller.said()
    for reply in () if pipelining else ("250 a", "250 b", "250 c"):
        caller.hear(reply)
        said += caller.said()
    assert said == (
        b"MAIL FROM:<a@example.com> RET=HDRS ENVID=a+3D1\r\n"
        b"RCPT TO:<b@example.net> NOTIFY=NEVER\r\n"
        b"RCPT TO:<c@example.net> ORCPT=rfc822;c@example.org\r\n"
        b"DATA\r\n"
    )
    caller = Caller(PIPELINING)
    caller.session.envelope("a@example.com", RCPTS, **wishes)
    assert caller.said() == GROUP


def test_an_address_beyond_ascii_is_not_said_to_a_server_that_does_not_take_it() -> None:
    caller = Caller(PIPELINING)
    with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
        caller.session.envelope("ü@example.com", RCPTS, smtputf8=True)
    caller = Caller(PIPELINING, "SMTPUTF8")
    with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
        caller.session.envelope("ü@example.com", RCPTS)
    assert caller.session.usable


def test_an_envelope_that_cannot_be_said_changes_nothing() -> None:
    caller = Caller(PIPELINING)
    with pytest.raises(LocalProtocolError):
        caller.session.envelope("a@example.com", ["b@example.net\r\nDATA"])
    assert caller.session.usable
    assert caller.envelope() == GROUP


def test_a_refused_mail_with_all_that_followed_is_one_answer() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    (answered,) = caller.hear("550 no", "503 b", "503 c", "503 d")
    assert [reply.code for reply in answered.recipients] == [503, 503]
    assert (answered.mail.code, answered.data.code, answered.ready) == (550, 503, False)
    assert caller.said() == b""
    assert caller.session.usable


def test_where_nobody_was_accepted_and_data_refused_the_transaction_is_reset() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    (answered,) = caller.hear("250 a", "550 b", "450 c", "554 d")
    assert not answered.ready
    assert caller.said() == b"RSET\r\n"
    assert caller.session.usable
    assert caller.session.expecting == "envelope"
    assert caller.hear("250 reset") == []
    assert caller.session.expecting is None


def test_where_data_is_refused_the_transaction_is_reset() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    (answered,) = caller.hear("250 a", "250 b", "250 c", "451 d")
    assert (answered.data.code, answered.ready) == (451, False)
    assert caller.said() == b"RSET\r\n"


@pytest.mark.parametrize(
    "lines", [["250 a", "550 b", "550 c", "354 d"], ["550 a", "250 b", "250 c", "354 d"]]
)
def test_content_invited_for_nobody_is_a_lone_dot(lines: list[str]) -> None:
    """RFC 2920 §3.1."""
    caller = Caller(PIPELINING)
    caller.envelope()
    (answered,) = caller.hear(*lines)
    assert (answered.data.code, answered.ready) == (354, False)
    assert caller.said() == b".\r\n"
    assert caller.session.usable
    assert caller.hear("250 thank you for nothing") == []
    assert caller.envelope() == GROUP


def test_the_next_envelope_may_follow_the_clean_up_at_once() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    caller.hear("250 a", "550 b", "550 c", "554 d")
    caller.session.envelope("a@example.com", RCPTS)
    assert caller.said() == b"RSET\r\n" + GROUP
    (answered,) = caller.hear("250 reset", "250 a", "250 b", "250 c", "354 go")
    assert answered.ready


@pytest.mark.parametrize(
    ("lines", "recipients", "data"),
    [
        (["421 bye"], [421, 421], None),
        (["250 a", "421 bye"], [421, 421], None),
        (["250 a", "250 b", "421 bye"], [250, 421], None),
        (["250 a", "250 b", "250 c", "421 bye"], [250, 250], 421),
    ],
)
def test_whoever_was_not_answered_before_a_421_is_answered_by_it(
    lines: list[str], recipients: list[int], data: int | None
) -> None:
    for keywords in ((PIPELINING,), ("SIZE",)):
        caller = Caller(*keywords)
        caller.envelope()
        heard = [event for line in lines for event in caller.hear(line)]
        (answered,) = heard
        stepwise_at_mail = keywords == ("SIZE",) and len(lines) == 1
        assert [reply.code for reply in answered.recipients] == (
            [] if stepwise_at_mail else recipients
        )
        assert (answered.data.code if answered.data else None) == data
        assert not answered.ready
        assert caller.session.state is ClientState.CLOSING
        caller.said()
        caller.session.quit()
        assert caller.said() == b""


# --- the envelope, step by step -------------------------------------------------------------------


def test_without_pipelining_every_command_waits_for_its_reply() -> None:
    caller = Caller("SIZE")
    assert caller.envelope() == b"MAIL FROM:<a@example.com>\r\n"
    said = []
    for line in ("250 a", "250 b", "550 c"):
        assert caller.hear(line) == []
        said.append(caller.said())
    assert said == [b"RCPT TO:<b@example.net>\r\n", b"RCPT TO:<c@example.net>\r\n", b"DATA\r\n"]
    assert caller.session.expecting == "data"
    (answered,) = caller.hear("354 go")
    assert answered.ready
    assert [reply.code for reply in answered.recipients] == [250, 550]


def test_without_pipelining_a_refused_mail_ends_the_envelope() -> None:
    caller = Caller("SIZE")
    caller.envelope()
    (answered,) = caller.hear("550 no")
    assert (answered.recipients, answered.data, answered.ready) == ((), None, False)
    assert caller.said() == b""
    assert caller.session.usable


def test_without_pipelining_data_is_not_said_where_nobody_was_accepted() -> None:
    caller = Caller("SIZE")
    caller.envelope()
    caller.hear("250 a")
    caller.hear("550 b")
    (answered,) = caller.hear("450 c")
    assert [reply.code for reply in answered.recipients] == [550, 450]
    assert (answered.data, answered.ready) == (None, False)
    assert caller.said() == b"RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nRSET\r\n"
    caller.session.envelope("a@example.com", RCPTS)
    assert caller.said() == b""
    caller.hear("250 reset")
    assert caller.said() == b"MAIL FROM:<a@example.com>\r\n"


# --- content -------------------------------------------------------------------------------------


def test_content_is_stuffed_and_ended() -> None:
    caller = ready()
    caller.session.content(b".a\r\n..b")
    assert caller.said() == b"..a\r\n...b\r\n.\r\n"
    assert caller.session.expecting == "verdict"
    (verdict,) = caller.hear("250 2.0.0 Ok: queued as 1")
    assert verdict == VerdictReceived(Reply(250, "2.0.0", ("Ok: queued as 1",)))
    assert caller.session.usable
    assert caller.session.expecting is None


def test_content_may_be_given_in_blocks() -> None:
    caller = ready()
    for block in (b"a\r", b"\n", b".b"):
        caller.session.content_block(block)
    caller.session.content_end()
    assert caller.said() == b"a\r\n..b\r\n.\r\n"
    caller.hear("250 ok")
    caller.envelope()
    caller.hear("250 a", "250 b", "250 c", "354 d")
    caller.session.content_end()
    assert caller.said() == b".\r\n"


@pytest.mark.parametrize("code", [200, 250, 299, 400, 451, 550, 554, 599])
def test_every_2xx_4xx_and_5xx_is_a_lawful_verdict(code: int) -> None:
    caller = ready()
    caller.session.content(b"x")
    (verdict,) = caller.hear(f"{code} verdict")
    assert verdict.reply.code == code
    assert caller.session.usable


def test_a_verdict_of_421_is_a_verdict_and_the_end() -> None:
    caller = ready()
    caller.session.content(b"x")
    (verdict,) = caller.hear("421 bye")
    assert verdict.reply.code == 421
    assert not caller.session.usable


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"body\n.\r\nMAIL FROM:<x@example.com>\r\n"])
def test_a_bare_line_end_does_not_leave_the_house(content: bytes) -> None:
    caller = ready()
    with pytest.raises(LocalProtocolError, match="bare"):
        caller.session.content(content)
    with pytest.raises(LocalProtocolError, match="bare"):
        caller.session.content_block(content)
    assert caller.said() == b""


def test_content_nobody_invited_is_our_mistake() -> None:
    caller = Caller(PIPELINING)
    for wish in (caller.session.content_end, lambda: caller.session.content_block(b"x")):
        with pytest.raises(LocalProtocolError):
            wish()


# --- the next envelope behind content --------------------------------------------------------------


def test_the_next_envelope_may_follow_content_at_once() -> None:
    """RFC 2920 §3.1: content may be the first command of a group."""
    caller = ready()
    assert caller.session.may_go_ahead
    caller.session.content(b"x\r\n")
    assert caller.envelope() == b"x\r\n.\r\n" + GROUP
    assert caller.session.expecting == "verdict"
    assert not caller.session.may_go_ahead
    with pytest.raises(LocalProtocolError, match="session is verdict"):
        caller.envelope()
    verdict, answered = caller.hear("250 taken", "250 a", "250 b", "550 c", "354 go")
    assert verdict == VerdictReceived(Reply(250, None, ("taken",)))
    assert isinstance(answered, EnvelopeAnswered)
    assert ([reply.code for reply in answered.recipients], answered.ready) == ([250, 550], True)
    caller.session.content(b"y\r\n")
    assert caller.envelope().startswith(b"y\r\n.\r\nMAIL")


def test_a_refused_verdict_does_not_touch_the_envelope_that_was_said_ahead() -> None:
    caller = ready()
    caller.session.content(b"x")
    caller.envelope()
    (verdict,) = caller.hear("554 no")
    assert verdict.reply.code == 554
    assert not caller.session.usable
    assert caller.session.expecting == "envelope"
    (answered,) = caller.hear("250 a", "250 b", "250 c", "354 go")
    assert answered.ready


def test_a_verdict_of_421_ends_the_session_before_the_envelope_said_ahead() -> None:
    caller = ready()
    caller.session.content(b"x")
    caller.envelope()
    assert [type(event) for event in caller.hear("421 bye", "250 a")] == [VerdictReceived]
    assert caller.session.state is ClientState.CLOSING


def test_without_pipelining_no_envelope_goes_ahead() -> None:
    caller = Caller("SIZE")
    caller.envelope()
    for line in ("250 a", "250 b", "250 c", "354 d"):
        caller.hear(line)
    caller.session.content(b"x")
    assert not caller.session.may_go_ahead
    caller.said()
    with pytest.raises(LocalProtocolError, match="session is verdict"):
        caller.envelope()
    assert caller.said() == b""


# --- RSET and QUIT -------------------------------------------------------------------------------


def test_reset_shows_whether_the_peer_is_still_there() -> None:
    caller = Caller(PIPELINING)
    caller.session.reset()
    assert caller.said() == b"RSET\r\n"
    assert caller.session.expecting == "envelope"
    assert caller.hear("250 yes") == []
    assert caller.session.expecting is None
    caller.session.reset()
    assert caller.hear("421 no") == []
    assert not caller.session.usable


def test_quit_inside_a_transaction_is_our_mistake() -> None:
    for caller in (ready(), ready()):
        with pytest.raises(LocalProtocolError, match="close the connection"):
            caller.session.quit()
        caller.session.content(b"x")
        with pytest.raises(LocalProtocolError):
            caller.session.quit()


# --- garbage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["354 go", "334 abc"])
def test_an_invitation_out_of_place_is_the_servers_fault(line: str) -> None:
    for caller in (Caller(PIPELINING), ready()):
        if caller.session.state is ClientState.READY:
            caller.envelope()
        else:
            caller.session.content(b"x")
        with pytest.raises(RemoteProtocolError, match="go on"):
            caller.hear(line)
        assert not caller.session.usable


def test_content_taken_before_it_was_sent_is_the_servers_fault() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    with pytest.raises(RemoteProtocolError, match="never sent"):
        caller.hear("250 a", "250 b", "250 c", "250 taken")


def test_one_byte_at_a_time_is_the_same_conversation() -> None:
    caller = Caller(PIPELINING)
    caller.envelope()
    heard = []
    for octet in b"250 a\r\n250 b\r\n250-c\r\n250 c\r\n354 go\r\n":
        caller.session.receive(bytes([octet]))
        heard += caller.events()
    assert [type(event) for event in heard] == [EnvelopeAnswered]
    assert heard[0].ready
