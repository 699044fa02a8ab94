"""a client session with a server that says line after line, and what came of them"""

from __future__ import annotations

from pillarbox.protocol.events import ClientEvent
from pillarbox.protocol.opening import Opening


class Caller:
    """A session that may have said EHLO already, to a server that offered `keywords`."""

    def __init__(self, session: Opening, *keywords: str, hello: bool = True) -> None:
        self.session = session
        if hello:
            self.hear("220 mail.example.com ESMTP")
            self.session.hello("me.example.com")
            lines = ["mail.example.com", *keywords]
            marks = ["-"] * (len(lines) - 1) + [" "]
            self.hear(*(f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True)))
            self.session.bytes_to_send()

    def hear(self, *lines: str) -> list[ClientEvent]:
        """The server says `lines`; what the session makes of them."""
        self.session.receive("".join(line + "\r\n" for line in lines).encode())
        return self.events()

    def events(self) -> list[ClientEvent]:
        """What happened since they were last asked for."""
        found = []
        while (event := self.session.next_event()) is not None:
            found.append(event)
        return found

    def said(self) -> bytes:
        """What the session says to the server."""
        return self.session.bytes_to_send()
