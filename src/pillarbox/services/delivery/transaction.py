"""one message given to one server: render, envelope, mark, content, verdict

Nothing here decides what a failure means for a recipient; that is `policy.outcome`. What it sees to
is the order of writes: a final dot leaves only after the start mark is durable, and after the
settlement of the transaction before it on the same connection is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.message.errors import CannotRender
from pillarbox.message.render import RENDERER_VERSION, Hop, render
from pillarbox.net.errors import Broken
from pillarbox.net.pool import Pool
from pillarbox.net.smtp_client import Connection
from pillarbox.observe.crash import crash_point
from pillarbox.policy.directory import Server
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import (
    Outcome,
    from_broken,
    from_caller_told,
    from_recipients,
    from_reply,
    from_unsuitable,
    read_stage,
)
from pillarbox.services.delivery.marks import Marks
from pillarbox.services.delivery.sessions import Sessions
from pillarbox.storage.interface.messages import MessageStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import DeliveryId

_IN_MEMORY_BYTES: Final = 1024 * 1024
"""Longer content is read and sent block by block."""


@dataclass(slots=True)
class Given:
    """What became of each recipient at one server, and what the attempt was."""

    outcomes: list[tuple[Addressee, Outcome]]
    session: int = 0
    dialogue: tuple[tuple[int, str], ...] = ()
    digest: bytes = b""
    connection: Connection | None = None
    """Still open; handed back with `Transactions.end`."""
    gone: frozenset[DeliveryId] = frozenset()
    """Held or ended by an operator after they were claimed: nothing was sent for them."""

    @property
    def renderer(self) -> int:
        """The version that made the bytes, 0 where none were sent."""
        return RENDERER_VERSION if self.digest else 0


class Transactions:
    """Carries messages over pooled connections."""

    def __init__(
        self,
        pool: Pool[Server, Connection],
        sessions: Sessions,
        messages: MessageStore,
        marks: Marks,
        clock: Clock,
        *,
        most_per_connection: int,
    ) -> None:
        self._pool = pool
        self._sessions = sessions
        self._messages = messages
        self._marks = marks
        self._clock = clock
        self._most = most_per_connection
        self._unrecorded: WeakKeyDictionary[Connection, asyncio.Future[None]] = WeakKeyDictionary()

    async def give(
        self, server: Server, outgoing: Outgoing, addressees: Sequence[Addressee]
    ) -> Given:
        """Offer a message to a server for some recipients.

        Whatever the server does is an outcome. Raises `StorageTrouble` where the start mark cannot
        be written, or the content not be read; then nothing has left.
        """
        while True:
            try:
                connection, fresh = await self._pool.take(server)
            except Broken as broken:
                return _broken(broken, addressees, 0)
            try:
                return await self._exchange(connection, server, outgoing, addressees)
            except Broken as broken:
                self._pool.discard(connection)
                if broken.reused and not fresh:
                    continue
                return _broken(broken, addressees, self._sessions.number(connection, server))
            except BaseException:
                self._pool.discard(connection)
                raise

    async def end(self, given: Given, recorded: asyncio.Future[None]) -> None:
        """The settlement of what was given is on its way; the connection may serve again."""
        connection = given.connection
        if connection is None:
            return
        if not connection.usable:
            self._pool.discard(connection)
        elif connection.transactions >= self._most:
            await asyncio.wait([recorded])
            await connection.quit()
            self._pool.discard(connection)
        else:
            self._unrecorded[connection] = recorded
            self._pool.give_back(connection)

    async def _exchange(
        self,
        connection: Connection,
        server: Server,
        outgoing: Outgoing,
        addressees: Sequence[Addressee],
    ) -> Given:
        facts = outgoing.facts
        extensions = connection.session.extensions
        hop = Hop(eight_bit=extensions.has("8BITMIME"), smtputf8=extensions.has("SMTPUTF8"))
        try:
            content = await self._content(outgoing, hop)
        except CannotRender as error:
            unsuitable = from_unsuitable(error.sentence)
            return Given([(a, unsuitable) for a in addressees], connection=connection)
        self._marks.begin(outgoing)
        answered = await connection.envelope(
            facts.return_path,
            [addressee.address for addressee in addressees],
            size=len(content) if isinstance(content, bytes) else outgoing.size,
            body=facts.body if hop.eight_bit else "7BIT",
            smtputf8=facts.smtputf8 and hop.smtputf8,
        )
        session = self._sessions.number(connection, server)
        given = Given([], session, connection=connection)
        if answered.mail.severity != 2:
            refused = from_reply(Stage.MAIL, answered.mail)
            given.outcomes = [(addressee, refused) for addressee in addressees]
        else:
            verdicts = from_recipients(answered.recipients)
            accepted = []
            for addressee, verdict in zip(addressees, verdicts, strict=True):
                if verdict is None:
                    accepted.append(addressee)
                else:
                    given.outcomes.append((addressee, verdict))
            if accepted and answered.ready:
                await self._send(given, connection, outgoing, content, accepted)
            elif accepted and answered.data is not None:
                refused = from_reply(Stage.DATA, answered.data)
                given.outcomes += [(addressee, refused) for addressee in accepted]
        given.dialogue = tuple(connection.dialogue)
        return given

    async def _send(
        self,
        given: Given,
        connection: Connection,
        outgoing: Outgoing,
        content: bytes | AsyncIterator[bytes],
        accepted: list[Addressee],
    ) -> None:
        """Content for those whose RCPT was accepted. A lost connection is an outcome for them.

        Nothing goes out for a caller who may have been told meanwhile that it failed: a transaction
        without its final dot delivers to nobody (RFC 5321 §4.1.1.4).
        """
        gone = await self._marks.done(outgoing)
        unrecorded = self._unrecorded.pop(connection, None)
        if unrecorded is not None and not unrecorded.done():
            await asyncio.wait([unrecorded])
        late = outgoing.answer_by is not None and self._clock.now_ms() >= outgoing.answer_by
        if gone or late:
            given.gone = gone
            self._pool.discard(connection)
            given.connection = None
            if late:
                given.outcomes += [(addressee, from_caller_told()) for addressee in accepted]
            return
        if isinstance(content, bytes):
            given.digest = hashlib.sha256(content).digest()
        crash_point("content-before-dot")
        try:
            reply = await connection.content(content)
        except Broken as broken:
            self._pool.discard(connection)
            given.connection = None
            lost = from_broken(read_stage(broken.stage), broken.words, broken.after_dot)
            given.outcomes += [(addressee, lost) for addressee in accepted]
            return
        crash_point("verdict-received")
        verdict = from_reply(Stage.VERDICT, reply)
        given.outcomes += [(addressee, verdict) for addressee in accepted]

    async def _content(self, outgoing: Outgoing, hop: Hop) -> bytes | AsyncIterator[bytes]:
        content = outgoing.content
        if content is None:
            as_it_is = hop.eight_bit or outgoing.facts.body == "7BIT"
            if outgoing.size > _IN_MEMORY_BYTES and as_it_is and not outgoing.facts.options:
                return self._messages.blocks(outgoing.message)
            content = await self._messages.content(outgoing.message)
        return render(content, outgoing.facts, hop)


def _broken(broken: Broken, addressees: Sequence[Addressee], session: int) -> Given:
    stage = read_stage(broken.stage)
    if broken.reply is not None and broken.reply.severity >= 4:
        outcome = from_reply(stage, broken.reply)
    else:
        outcome = from_broken(stage, broken.words, broken.after_dot)
    return Given([(addressee, outcome) for addressee in addressees], session, broken.dialogue)
