"""a client session and a server session talking in memory, with a censor between them"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pillarbox.protocol import replies
from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.events import ClientEvent, TlsAnswered
from pillarbox.protocol.extensions import ServerLimits
from tests.pair.answering import HOSTNAME, LIMITS, Listener


class Channel:
    """Carries bytes both ways until nobody has anything to say.

    `without` names extensions that are taken out of the answer to EHLO, so that the client does
    not know of them. `portion` is how many bytes are carried at a time; None is all there are.
    """

    def __init__(
        self,
        limits: ServerLimits = LIMITS,
        *,
        without: frozenset[str] = frozenset(),
        portion: int | None = None,
    ) -> None:
        self.listener = Listener(limits, greet=False)
        self.client = ClientSession()
        self.tls = False
        self.in_clear = b""
        """What the client said before TLS."""
        self.turns = 0
        """How often the client had something to say."""
        self._without = without
        self._portion = portion
        self._coming_back = b""
        self.listener.session.greet(replies.banner(HOSTNAME))
        self.run()

    def run(self) -> list[ClientEvent]:
        """Carry on until both are silent; the client's events."""
        heard: list[ClientEvent] = []
        while True:
            said = self._coming_back + self.listener.pump()
            self._coming_back = b""
            for piece in self._cut(self._censored(said)):
                self.client.receive(piece)
            while (event := self.client.next_event()) is not None:
                heard.append(event)
                if isinstance(event, TlsAnswered) and event.reply.severity == 2:
                    self.listener.session.tls_started()
                    self.client.tls_started()
                    self.tls = True
            answer = self.client.bytes_to_send()
            self.turns += bool(answer)
            if not self.tls:
                self.in_clear += answer
            for piece in self._cut(answer):
                self._coming_back += self.listener.hear(piece)
            if not said and not answer:
                return heard

    def do(self, wish: Callable[..., None], *given: object, **wishes: object) -> ClientEvent:
        """Have the client say something, and see the one event that comes of it."""
        wish(*given, **wishes)
        (event,) = self.run()
        return event

    def _censored(self, said: bytes) -> bytes:
        hello = f"250-{HOSTNAME}\r\n".encode()
        if not said.startswith(hello):
            return said
        lines = [line[4:] for line in said.decode().splitlines()]
        kept = [line for line in lines if line.split()[0] not in self._without]
        return replies.hello(*kept).encode()

    def _cut(self, data: bytes) -> Iterator[bytes]:
        size = self._portion or max(len(data), 1)
        for at in range(0, len(data), size):
            yield data[at : at + size]
