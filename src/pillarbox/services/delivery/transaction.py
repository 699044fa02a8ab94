"""one message given to one server: render, envelope, mark, content, verdict

Nothing here decides what a failure means for a recipient; that is `policy.outcome`. What it sees to
is the order of writes: a final dot leaves only after the start mark is durable, and after the
settlement of the transaction before it on the same connection is.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.handover.settle import Recording
from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.errors import CannotRender
from pillarbox.message.render import Hop, size_ahead
from pillarbox.message.wishes import is_dressed, is_individual
from pillarbox.net.envelope import EnvelopeWords
from pillarbox.net.errors import Broken, LoginFailed, TlsFilesUnusable
from pillarbox.net.pool import Pool
from pillarbox.observe.crash import crash_point
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import (
    Mishap,
    Outcome,
    from_broken,
    from_caller_told,
    from_login_failed,
    from_recipients,
    from_reply,
    from_unsuitable,
    read_stage,
)
from pillarbox.policy.server import Server
from pillarbox.policy.tls_policy import insisting
from pillarbox.protocol.events import EnvelopeAnswered
from pillarbox.services.delivery.ahead import Ahead, Following
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.services.delivery.given import Given
from pillarbox.services.delivery.held import in_pieces, lease_over, while_held
from pillarbox.services.delivery.marks import Marks
from pillarbox.services.delivery.renderer import Renderer
from pillarbox.services.delivery.senders import Senders
from pillarbox.services.delivery.slots import Slots
from pillarbox.services.delivery.wording import sayable, words_for
from pillarbox.storage.interface.events import EventStore
from pillarbox.storage.interface.messages import MessageStore
from pillarbox.storage.interface.nodes import NodeStore
from pillarbox.terms.clock import Clock

_IN_MEMORY_BYTES: Final = 1024 * 1024
"""Longer content is read and sent block by block."""

_DONE: Final = 2
_REFUSED: Final = 4


class Transactions:
    """Carries messages over pooled connections."""

    def __init__(
        self,
        pool: Pool[Server, Carrier],
        events: EventStore,
        messages: MessageStore,
        nodes: NodeStore,
        marks: Marks,
        senders: Senders,
        renderer: Renderer,
        clock: Clock,
        *,
        most_per_connection: int,
    ) -> None:
        self._pool = pool
        self._events = events
        self._messages = messages
        self._nodes = nodes
        self._marks = marks
        self._senders = senders
        self._renderer = renderer
        self._clock = clock
        self._most = most_per_connection
        self._ahead = Ahead(pool)

    async def give(
        self,
        server: Server,
        outgoing: Outgoing,
        addressees: Sequence[Addressee],
        following: Following | None = None,
        sender: DefaultSender | None = None,
    ) -> Given:
        """Offer a message to a server for some recipients; `sender` stands in for its own.

        `following` goes to the same server next; its envelope may be said behind the content.
        Whatever the server does is an outcome. Raises `StorageTrouble` where the start mark cannot
        be written, or the content not be read; then nothing has left.
        """
        if not self._nodes.holds:
            raise lease_over()
        while True:
            said = self._ahead.claim(outgoing, server, addressees)
            try:
                carrier, fresh = (said, False) if said else await self._pool.take(server)
            except Broken as broken:
                return _broken(server, broken, addressees, 0)
            except TlsFilesUnusable as error:
                # The authority's file is the operator's, so it is held against this server.
                return _broken(server, Broken("starttls", error.sentence), addressees, 0)
            try:
                return await self._exchange(carrier, outgoing, addressees, following, sender)
            except Broken as broken:
                self._pool.discard(carrier)
                if said is not None and not broken.reply:
                    self._ahead.lost(server)
                if broken.reused and not fresh:
                    continue
                session = carrier.session(self._events, self._clock.now_ms())
                return _broken(server, broken, addressees, session)
            except BaseException:
                self._pool.discard(carrier)
                raise

    async def end(
        self, given: Given, recording: Recording, following: Following | None, slots: Slots
    ) -> bool:
        """The settlement of what was given is on its way; the connection may serve again.

        Gives whether it keeps its slot, one of `slots`, for the message that follows.
        """
        carrier = given.carrier
        if carrier is None:
            return False
        carrier.unrecorded = recording
        if carrier.connection.ahead and following is not None and following.outgoing is not None:
            self._ahead.keep(following.outgoing, carrier, slots)
            return True
        if not carrier.usable:
            self._pool.discard(carrier)
        elif carrier.transactions >= self._most:
            await carrier.quit()
            self._pool.discard(carrier)
        else:
            self._pool.give_back(carrier)
        return False

    def put_back(self, given: Given) -> None:
        """What was given left nothing to record; the connection may serve again at once."""
        carrier, given.carrier = given.carrier, None
        if carrier is not None and carrier.usable and not carrier.connection.ahead:
            self._pool.give_back(carrier)
        elif carrier is not None:
            self._pool.discard(carrier)

    def take_slot(self, outgoing: Outgoing, slots: Slots) -> bool:
        """Whether a connection waits for the message with its slot, which is the caller's now."""
        return self._ahead.take_slot(outgoing, slots)

    def part(self, server: Server, most: int) -> None:
        """Keep no idle connection to an MX host where more than `most` are open to all servers, or
        more than its way out may have to all of its hosts.
        """
        pool = self._pool
        if pool.open > most or pool.open_in_group(server) > server.max_connections:
            self._pool.drop_idle(server)

    def over(self, outgoing: Outgoing) -> None:
        """The attempt for a message is over, whichever way it went."""
        self._ahead.forget(outgoing)

    async def _exchange(
        self,
        carrier: Carrier,
        outgoing: Outgoing,
        addressees: Sequence[Addressee],
        following: Following | None,
        sender: DefaultSender | None,
    ) -> Given:
        given = Given([], carrier=carrier)
        hop, ahead = carrier.hop, carrier.connection.ahead
        given.passed_on = hop.dsn
        try:
            if sender is None and not ahead and self._senders.may_replace(carrier.server):
                sender = await self._sender_for(carrier, outgoing)
            if sender is not None:
                given.sender = sender
                hop = Hop(hop.eight_bit, hop.smtputf8, hop.dsn, hop.requires_tls, sender)
            content = await self._content(given, outgoing, hop, addressees)
            addressees, given.outcomes = sayable(outgoing.facts, addressees, hop)
        except CannotRender as error:
            unsuitable = from_unsuitable(error.sentence, detail=error.status.partition(".")[2])
            given.outcomes = [(addressee, unsuitable) for addressee in addressees]
            if ahead:
                self._pool.discard(carrier)
                given.carrier = None
            return given
        if not addressees:
            return given
        self._marks.begin(outgoing)
        connection = carrier.connection
        size = len(content) if isinstance(content, bytes) else outgoing.size
        words = words_for(outgoing.facts, addressees, size, hop)
        answered = await connection.envelope(words, elsewhere=outgoing.elsewhere)
        given.session = carrier.session(self._events, self._clock.now_ms())
        accepted = _accepted(given, answered, addressees)
        if accepted and answered.ready:
            await self._send(given, outgoing, content, accepted, following)
        elif accepted:
            # Without an answer to DATA a 421 came before it, and speaks to those accepted as well.
            refused = from_reply(Stage.DATA, answered.data or answered.recipients[-1])
            given.outcomes += [(addressee, refused) for addressee in accepted]
        given.dialogue = tuple(connection.dialogue)
        return given

    async def _send(
        self,
        given: Given,
        outgoing: Outgoing,
        content: bytes | AsyncIterator[bytes],
        accepted: Sequence[Addressee],
        following: Following | None,
    ) -> None:
        """Content for those whose RCPT was accepted. A lost connection is an outcome for them.

        Nothing goes out for a caller who may have been told meanwhile that it failed: a transaction
        without its final dot delivers to nobody (RFC 5321 §4.1.1.4).
        """
        carrier = given.carrier
        assert carrier is not None
        if not outgoing.marked:
            given.gone = await self._marks.done(outgoing)
        await carrier.recorded()
        if not self._nodes.holds:
            raise lease_over()
        late = outgoing.answer_by is not None and self._clock.now_ms() >= outgoing.answer_by
        if given.gone or late:
            self._pool.discard(carrier)
            given.carrier = None
            if late:
                given.outcomes += [(addressee, from_caller_told()) for addressee in accepted]
            return
        ahead = None
        plain = False
        if isinstance(content, bytes):
            plain = outgoing.plain and content is outgoing.content
            if len(content) > _IN_MEMORY_BYTES:
                content = while_held(self._nodes, in_pieces(content))
            else:
                ahead = self._next_words(carrier, following)
        crash_point("content-before-dot")
        try:
            reply = await carrier.connection.content(content, ahead, plain=plain)
        except Broken as broken:
            self._pool.discard(carrier)
            given.carrier = None
            lost = _unsaid(broken)
            given.outcomes += [(addressee, lost) for addressee in accepted]
            return
        crash_point("verdict-received")
        verdict = from_reply(Stage.VERDICT, reply, direct=carrier.server.is_mx_host)
        given.outcomes += [(addressee, verdict) for addressee in accepted]

    def _next_words(self, carrier: Carrier, following: Following | None) -> EnvelopeWords | None:
        """The envelope of the message that follows, where it may be said now."""
        if (
            following is None
            or not self._ahead.allowed(carrier.server)
            or carrier.transactions + 1 >= self._most
        ):
            return None
        outgoing = following.take()
        if outgoing is None or outgoing.content is None:
            return None
        if outgoing.facts.tls and not carrier.hop.requires_tls:
            return None
        if outgoing.facts.smtputf8 and not carrier.hop.smtputf8:
            return None  # some of it may not be sayable there; its own turn will tell
        if is_individual(outgoing.facts) and len(outgoing.addressees) > 1:
            return None
        try:
            size = size_ahead(outgoing.content, outgoing.facts, carrier.hop)
        except CannotRender:
            return None
        self._marks.begin(outgoing)
        return words_for(outgoing.facts, outgoing.addressees, size, carrier.hop)

    async def _sender_for(self, carrier: Carrier, outgoing: Outgoing) -> DefaultSender | None:
        """Who stands in for a message, if anybody has to."""
        content = outgoing.content or await self._messages.content(outgoing.message)
        return self._senders.choose(carrier.server, content, outgoing.facts.return_path)

    async def _content(
        self, given: Given, outgoing: Outgoing, hop: Hop, addressees: Sequence[Addressee]
    ) -> bytes | AsyncIterator[bytes]:
        """What leaves; its digest is noted where that is not what is stored."""
        stored = outgoing.content
        if stored is None:
            facts = outgoing.facts
            as_it_is = (hop.eight_bit or facts.body == "7BIT") and (
                hop.smtputf8 or not facts.smtputf8
            )
            as_it_is = as_it_is and hop.sender is None and not is_dressed(facts)
            if outgoing.size > _IN_MEMORY_BYTES and as_it_is:
                return while_held(self._nodes, self._messages.blocks(outgoing.message))
            stored = await self._messages.content(outgoing.message)
        content = await self._renderer.content(outgoing, stored, hop, addressees)
        if content is not stored:
            given.digest = hashlib.sha256(content).digest()
        return content


def _accepted(
    given: Given, answered: EnvelopeAnswered, addressees: Sequence[Addressee]
) -> Sequence[Addressee]:
    """Those whose RCPT was accepted; what became of the others is noted."""
    if answered.ready and all(reply.severity == _DONE for reply in answered.recipients):
        return addressees
    if answered.mail.severity != _DONE:
        refused = from_reply(Stage.MAIL, answered.mail)
        given.outcomes += [(addressee, refused) for addressee in addressees]
        return ()
    accepted = []
    verdicts = from_recipients(answered.recipients)
    for addressee, verdict in zip(addressees, verdicts, strict=True):
        if verdict is None:
            accepted.append(addressee)
        else:
            given.outcomes.append((addressee, verdict))
    return accepted


def _broken(server: Server, broken: Broken, addressees: Sequence[Addressee], session: int) -> Given:
    stage = read_stage(broken.stage)
    if isinstance(broken, LoginFailed):
        outcome = from_login_failed(broken.words, broken.reply, lasting=broken.lasting)
    elif broken.reply is not None and broken.reply.severity >= _REFUSED:
        outcome = from_reply(stage, broken.reply)
    else:
        outcome = _unsaid(broken)
    if server.tls is not None and stage is Stage.STARTTLS:
        outcome = insisting(outcome, server.tls)
    return Given([(addressee, outcome) for addressee in addressees], session, broken.dialogue)


def _unsaid(broken: Broken) -> Outcome:
    """What a conversation that ended without a reply means."""
    mishap = Mishap.GARBAGE if broken.misbehaved else None
    return from_broken(read_stage(broken.stage), broken.words, broken.after_dot, mishap=mishap)
