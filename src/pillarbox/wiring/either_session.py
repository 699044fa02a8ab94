"""a session that brings something back, until it logs in; from then on it hands in mail"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import structs

from pillarbox.net.interface import Answer, Peer, SessionHandler
from pillarbox.net.smtp_ports import Purpose
from pillarbox.protocol import replies
from pillarbox.protocol.events import HelloReceived, LoginReceived, ServerEvent
from pillarbox.protocol.reply import Reply

_DONE: Final = 2


class EitherSession:
    """Two handlers behind one connection. Implements `net.interface.SessionHandler`.

    A login that is refused changes nothing: who has not logged in is never asked about by the
    handler of submissions, whatever that one would permit.
    """

    def __init__(
        self, bounces: SessionHandler, make_submission: Callable[[], SessionHandler]
    ) -> None:
        """`make_submission` is called at the first login."""
        self._bounces = bounces
        self._make_submission = make_submission
        self._submission: SessionHandler | None = None
        self._logged_in = False
        self._peer = Peer("", 0, "")
        self._hello: HelloReceived | None = None

    def opened(self, peer: Peer) -> Reply:
        """The banner, which is the same for both."""
        self._peer = peer
        return self._bounces.opened(structs.replace(peer, listener=Purpose.BOUNCES.value))

    def secured(self, peer: Peer) -> None:
        """TLS was started, which comes before any login."""
        self._peer = peer
        self._hello = None
        self._bounces.secured(structs.replace(peer, listener=Purpose.BOUNCES.value))

    def handle(self, event: ServerEvent) -> Answer:
        """Ask the one whose turn it is."""
        if self._logged_in and self._submission is not None:
            return self._submission.handle(event)
        if isinstance(event, LoginReceived):
            return self._login(event)
        if isinstance(event, HelloReceived):
            self._hello = event
            if self._submission is not None:
                self._submission.handle(event)
        return self._bounces.handle(event)

    def closed(self, reason: str) -> None:
        """Both let go."""
        try:
            self._bounces.closed(reason)
        finally:
            if self._submission is not None:
                self._submission.closed(reason)

    async def _login(self, event: LoginReceived) -> Reply:
        handler = self._submission
        if handler is None:
            handler = self._make_submission()
            banner = handler.opened(self._peer)
            self._submission = handler
            if banner.severity != _DONE:
                return banner
            if self._hello is not None:
                handler.handle(self._hello)
        answer = handler.handle(event)
        reply = answer if isinstance(answer, Reply) or answer is None else await answer
        self._logged_in = reply is not None and reply.severity == _DONE
        return reply or replies.LOGIN_UNAVAILABLE
