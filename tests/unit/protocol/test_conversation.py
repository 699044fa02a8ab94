"""taking turns, going wrong and coming to an end, whatever the words mean"""

from __future__ import annotations

import pytest

from pillarbox.protocol import replies
from pillarbox.protocol.conversation import Conversation
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import (
    ContentReceived,
    HelloReceived,
    Misbehaved,
    ServerEvent,
    SessionEnded,
)
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ServerState, ServerTrigger

BANNER = replies.banner("mail.example.com")


class Parrot(Conversation):
    """Tells every line, and waits for an answer where it ends in a question mark.

    ``wrong`` is refused and ``fault`` the end; behind ``letter`` all there is is content.
    """

    def _read_line(self) -> bool:
        line = self._input.line(100)
        if line is None:
            return False
        match line:
            case "wrong":
                self._refuse(replies.UNKNOWN_COMMAND)
            case "insult":
                self._refuse(replies.UNKNOWN_COMMAND, "an insult")
            case "fault":
                self._fail(replies.BARE_LINE_END)
            case "letter":
                self._state = ServerState.CONTENT
            case _:
                self._events.append(HelloReceived(line, False))
                if line.endswith("?"):
                    self._awaited = self._answered
        return True

    def _read_content(self) -> bool:
        data, at = self._input.rest()
        if at == len(data):
            return False
        self._input.skip_to(len(data))
        self._events.append(ContentReceived(data[at:], True))
        return True

    def _answered(self, reply: Reply) -> None:
        self._out.append(reply.encode())


def parrot(*, greeted: bool = True, max_errors: int = 3) -> Parrot:
    made = Parrot(max_errors)
    if greeted:
        made.greet(BANNER)
        assert made.bytes_to_send() == BANNER.encode()
    return made


def told(conversation: Conversation) -> list[ServerEvent]:
    events = []
    while (event := conversation.next_event()) is not None:
        events.append(event)
    return events


def names(conversation: Conversation) -> list[str]:
    return [event.name for event in told(conversation) if isinstance(event, HelloReceived)]


# --- turns -----------------------------------------------------------------------------------------


def test_what_comes_before_the_banner_is_kept_until_it_was_said() -> None:
    made = parrot(greeted=False)
    made.receive(b"early\r\n")
    assert told(made) == []
    assert (made.wants_more, made.buffered) == (False, 7)
    made.greet(BANNER)
    assert names(made) == ["early"]
    assert (made.wants_more, made.buffered) == (True, 0)


def test_while_a_reply_is_owed_nothing_is_read() -> None:
    made = parrot()
    made.receive(b"one\r\ntwo?\r\nthree\r\n")
    assert names(made) == ["one", "two?"]
    assert (made.wants_more, made.buffered) == (False, 7)
    made.reply(replies.OK)
    assert names(made) == ["three"]
    assert made.bytes_to_send() == replies.OK.encode()


def test_half_a_line_waits_for_its_end() -> None:
    made = parrot()
    made.receive(b"on")
    assert (told(made), made.buffered, made.wants_more) == ([], 2, True)
    made.receive(b"e\r\n")
    assert names(made) == ["one"]


def test_content_is_read_as_content() -> None:
    made = parrot()
    made.receive(b"letter\r\nfault\r\n")
    assert told(made) == [ContentReceived(b"fault\r\n", True)]
    assert made.state is ServerState.CONTENT


def test_everything_to_be_written_is_given_once_and_in_order() -> None:
    made = parrot()
    made.receive(b"one?\r\ntwo?\r\n")
    made.reply(replies.OK)
    made.reply(replies.RECIPIENT_OK)
    assert made.bytes_to_send() == replies.OK.encode() + replies.RECIPIENT_OK.encode()
    assert made.bytes_to_send() == b""


def test_an_answer_nobody_waits_for_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="no event waits"):
        parrot().reply(replies.OK)


def test_a_second_banner_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="session is command; no banner sent now"):
        parrot().greet(BANNER)


# --- errors ----------------------------------------------------------------------------------------


def test_what_is_refused_is_answered_and_told() -> None:
    made = parrot()
    made.receive(b"wrong\r\ninsult\r\nfine\r\n")
    assert told(made) == [
        Misbehaved(replies.UNKNOWN_COMMAND.text, replies.UNKNOWN_COMMAND),
        Misbehaved("an insult", replies.UNKNOWN_COMMAND),
        HelloReceived("fine", False),
    ]
    assert made.bytes_to_send() == 2 * replies.UNKNOWN_COMMAND.encode()


def test_the_last_error_allowed_is_the_end() -> None:
    made = parrot(max_errors=2)
    made.receive(b"wrong\r\n" * 5)
    assert made.bytes_to_send().endswith(replies.TOO_MANY_ERRORS.encode())
    assert told(made)[-1] == SessionEnded(replies.TOO_MANY_ERRORS.text)
    assert made.state is ServerState.CLOSING


def test_a_fault_is_answered_and_the_end() -> None:
    made = parrot()
    made.receive(b"fault\r\nmore\r\n")
    assert made.bytes_to_send() == replies.BARE_LINE_END.encode()
    text = replies.BARE_LINE_END.text
    assert told(made) == [Misbehaved(text, replies.BARE_LINE_END), SessionEnded(text)]
    assert (made.wants_more, made.buffered) == (False, 0)


# --- ends ------------------------------------------------------------------------------------------


def test_a_refusal_in_place_of_the_banner_is_the_end() -> None:
    made = parrot(greeted=False)
    made.receive(b"early\r\n")
    made.greet(replies.TOO_MANY_CONNECTIONS)
    assert made.bytes_to_send() == replies.TOO_MANY_CONNECTIONS.encode()
    assert told(made) == [SessionEnded("refused at the banner")]


def test_a_421_in_place_of_an_answer_is_the_end() -> None:
    made = parrot()
    made.receive(b"one?\r\ntwo\r\n")
    made.reply(replies.SHUTTING_DOWN)
    assert names(made) == ["one?"]
    assert made.bytes_to_send() == replies.SHUTTING_DOWN.encode()
    assert made.state is ServerState.CLOSING


def test_what_comes_in_place_of_a_handshake_is_the_end() -> None:
    made = parrot()
    made._move(ServerTrigger.STARTTLS)
    made.receive(b"clear\r\n")
    assert told(made) == [SessionEnded("bytes in clear where the TLS handshake was due")]


def test_who_hangs_up_is_heard_out_first() -> None:
    made = parrot()
    made.receive(b"one?\r\ntwo\r\nthr")
    made.receive_eof()
    assert names(made) == ["one?"]
    made.reply(replies.OK)
    assert told(made) == [HelloReceived("two", False), SessionEnded("the client hung up")]


def test_an_end_comes_once_and_nothing_after_it() -> None:
    made = parrot()
    made.receive(b"one?\r\n")
    made.shut(replies.IDLE)
    assert told(made)[1:] == [SessionEnded("closed by the server")]
    assert made.bytes_to_send() == replies.IDLE.encode()
    made.shut(replies.IDLE)
    made.reply(replies.OK)
    made.receive(b"more\r\n")
    made.receive_eof()
    assert (told(made), made.bytes_to_send(), made.buffered) == ([], b"", 0)
