"""one turn after the other: what a client says waits while a reply is owed, and all ends once

The mechanics under the server session, which knows what the words mean. It is the session's base
and not a part of it, because everything here happens for each command, and a call handed on costs
more than most commands do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

from pillarbox.protocol import replies
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import Misbehaved, ServerEvent, SessionEnded
from pillarbox.protocol.lines import LineBuffer
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import SERVER, ServerState, ServerTrigger

_READING: Final = frozenset(
    {
        ServerState.COMMAND,
        ServerState.ENVELOPE,
        ServerState.EXCHANGE,
        ServerState.CONTENT,
        ServerState.CHUNKS,
    }
)


class Conversation(ABC):
    """Bytes in, events out, replies in, bytes out; where it stands, and how often it went wrong."""

    def __init__(self, max_errors: int) -> None:
        """Nothing is read before `greet`; the `max_errors`-th error ends it."""
        self._max_errors = max_errors
        self._state = ServerState.GREETING
        self._errors = 0
        self._input = LineBuffer()
        self._end_of_input = False
        self._events: deque[ServerEvent] = deque()
        self._out: list[bytes] = []
        self._awaited: Callable[[Reply], None] | None = None

    # --- what the driver asks ----------------------------------------------------------------

    @property
    def wants_more(self) -> bool:
        """Whether input would be looked at: no reply is owed, no handshake due, nothing ended."""
        return self._awaited is None and self._state in _READING

    @property
    def buffered(self) -> int:
        """How many bytes were received and not looked at yet."""
        return len(self._input)

    @property
    def state(self) -> ServerState:
        """Where the conversation stands."""
        return self._state

    def next_event(self) -> ServerEvent | None:
        """The next thing that happened; None until more bytes or a reply lead to another."""
        return self._events.popleft() if self._events else None

    def bytes_to_send(self) -> bytes:
        """Everything to be written, once."""
        out = self._out
        if not out:
            return b""
        joined = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return joined

    # --- what the driver tells ---------------------------------------------------------------

    def greet(self, reply: Reply) -> None:
        """Say the banner; a refusal (421, 554) ends the session. Called once, first.

        Raises `LocalProtocolError` where a banner was said before.
        """
        self._out.append(reply.encode())
        if reply.severity == 2:
            self._move(ServerTrigger.GREETED)
            self._advance()
        else:
            self._end("refused at the banner")

    def receive(self, data: bytes) -> None:
        """Bytes from the client. After the end they are ignored."""
        if self._state is ServerState.HANDSHAKE:
            self._end("bytes in clear where the TLS handshake was due")
        elif self._state is not ServerState.CLOSING:
            self._input.put(data)
            self._advance()

    def receive_eof(self) -> None:
        """The client sends no more. What it sent before is still executed and answered."""
        self._end_of_input = True
        self._advance()

    def reply(self, reply: Reply) -> None:
        """Answer the event that owes one; a 421 also ends the session. Ignored after the end.

        Raises `LocalProtocolError` where no event waits for it.
        """
        if self._state is ServerState.CLOSING:
            return
        awaited = self._awaited
        if awaited is None:
            raise LocalProtocolError("no event waits for a reply")
        self._awaited = None
        if reply.code == 421:
            self.shut(reply)
            return
        awaited(reply)
        self._advance()

    def shut(self, reply: Reply) -> None:
        """End the session with `reply`, which is a 421, whatever it is doing."""
        if self._state is not ServerState.CLOSING:
            self._out.append(reply.encode())
            self._end("closed by the server")

    # --- what the session knows --------------------------------------------------------------

    @abstractmethod
    def _read_line(self) -> bool:
        """Take a command or a response out of the input and obey; False where none is whole."""

    @abstractmethod
    def _read_content(self) -> bool:
        """Take content out of the input; False where more must come first."""

    # --- turns and their ends ----------------------------------------------------------------

    def _advance(self) -> None:
        while self._awaited is None and self._state in _READING:
            taken = self._state is ServerState.CONTENT
            if not (self._read_content() if taken else self._read_line()):
                break
        if self._end_of_input and self._awaited is None and self._state is not ServerState.CLOSING:
            self._end("the client hung up")

    def _move(self, trigger: ServerTrigger) -> None:
        try:
            self._state = SERVER[self._state][trigger]
        except KeyError:
            raise LocalProtocolError(f"the session is {self._state}; no {trigger} now") from None

    def _refuse(self, reply: Reply, what: str = "") -> None:
        self._out.append(reply.encode())
        self._events.append(Misbehaved(what or reply.text, reply))
        self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._max_errors:
            self._fail(replies.TOO_MANY_ERRORS)

    def _fail(self, reply: Reply, what: str = "") -> None:
        self._out.append(reply.encode())
        self._events.append(Misbehaved(what or reply.text, reply))
        self._end(what or reply.text)

    def _end(self, reason: str) -> None:
        self._move(ServerTrigger.END)
        self._awaited = None
        self._input.clear()
        self._events.append(SessionEnded(reason))
