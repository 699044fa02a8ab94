"""the content of a message as a server session takes it: behind DATA, or in the chunks of BDAT

It is a base of the session, as `conversation` is, for the same reason: what happens for every piece
of content must not be handed on.
"""

from __future__ import annotations

from typing import Final

from pillarbox.protocol import replies
from pillarbox.protocol.blocks import ContentReader
from pillarbox.protocol.chunks import MAX_DISCARDED_OCTETS, ChunkReader, parse_chunk
from pillarbox.protocol.conversation import Conversation
from pillarbox.protocol.dots import DotReader
from pillarbox.protocol.errors import BareLineEnd, LocalProtocolError
from pillarbox.protocol.events import ContentReceived, TransactionReset
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ServerState, ServerTrigger

_ARRIVING: Final = frozenset({ServerState.CONTENT, ServerState.CHUNKS})


class Receiving(Conversation):
    """A conversation in which content is received, or thrown away with its reply held back."""

    def __init__(self, limits: ServerLimits) -> None:
        """No transaction is open."""
        super().__init__(limits.max_errors)
        self._limits = limits
        self._accepted = 0  # recipients of the transaction
        self._content = ContentReader(DotReader(), 0, 0)
        self._chunks: ChunkReader | None = None  # None: content comes behind DATA
        self._refusal: Reply | None = None  # outlives the transaction: chunks may still follow it
        self._blamed = False  # whether that refusal counts as an error of the client, once
        self._resets = False  # whether a transaction ends with it
        self._idle_commands = 0  # said since a message was taken

    # --- what the driver tells ---------------------------------------------------------------

    def proceed(self) -> None:
        """Ask for what follows a block that is not the last. Raises `LocalProtocolError`."""
        if self._state is not ServerState.CLOSING:
            self._check_block()
            self._awaited = None
            self._advance()

    def refuse_content(self, reply: Reply) -> None:
        """Answer a block that is not the last: the rest is discarded, then `reply` is given."""
        if self._state is not ServerState.CLOSING:
            self._check_block()
            self.reply(reply)

    @property
    def held_bytes(self) -> int:
        """How much content is kept here of a message that is arriving."""
        return self._content.held_bytes

    def give_up_content(self, reply: Reply) -> None:
        """Keep nothing of the content that is arriving, and give `reply` at its end."""
        if self._state in _ARRIVING and not self._content.discards:
            self._refusal = reply
            self._blamed = False
            self._content.discard()

    # --- reading -----------------------------------------------------------------------------

    def _read_content(self) -> bool:
        content, chunks = self._content, self._chunks
        data, at = self._input.rest()
        stop = len(data)
        if chunks is None:
            if at == stop:
                return False
        elif self._refusal is not None:
            return self._pass_over(chunks, self._refusal)
        else:
            stop = min(stop, at + chunks.left)
        try:
            self._input.skip_to(content.read(data, at, stop))
        except BareLineEnd as error:
            self._events.append(TransactionReset())
            self._fail(error.answer, error.sentence)
            return False
        if content.ended:
            if content.discards:
                self._discarded(self._refusal or replies.TOO_LARGE)
                return True
            self._move(ServerTrigger.CONTENT_ENDED)
            self._awaited = self._content_answered
            self._events.append(
                ContentReceived(content.give(), last=True, plain=not content.dotted)
            )
        elif content.full:
            self._awaited = self._block_refused
            self._events.append(ContentReceived(content.give(), last=False))
        elif chunks is None or chunks.left:
            return False
        else:
            self._move(ServerTrigger.CHUNK_ENDED)
            self._out.append(replies.chunk_received(chunks.size).encode())
        return True

    def _pass_over(self, chunks: ChunkReader, refusal: Reply) -> bool:
        data, at = self._input.rest()
        self._input.skip_to(chunks.skip(data, at))
        if chunks.left:
            return False
        self._discarded(refusal)
        return True

    def _discarded(self, refusal: Reply) -> None:
        self._move(ServerTrigger.CONTENT_ENDED)
        self._move(ServerTrigger.DECIDED)
        # To the end of the message its chunks get the same answer: a client that pipelines has
        # sent them already, and what is left of a message must not become another one.
        self._refusal = refusal if self._chunks is not None and not self._chunks.last else None
        if self._resets:
            self._events.append(TransactionReset())
        if self._blamed:
            self._refuse(refusal)
        else:
            self._out.append(refusal.encode())

    # --- answers of the driver ---------------------------------------------------------------

    def _block_refused(self, reply: Reply) -> None:
        self._refusal = reply
        self._blamed = False
        self._content.discard()

    def _content_answered(self, reply: Reply) -> None:
        self._out.append(reply.encode())
        self._move(ServerTrigger.DECIDED)
        if reply.severity == 2:
            self._errors = self._idle_commands = 0

    def _check_block(self) -> None:
        if self._awaited != self._block_refused:
            raise LocalProtocolError("no block of content waits for an answer")

    # --- commands ----------------------------------------------------------------------------

    def _data(self, _: str) -> None:
        if self._state is not ServerState.ENVELOPE:
            self._refuse(self._misplaced)
        elif not self._accepted:
            self._refuse(replies.NO_RECIPIENTS)
        else:
            limits = self._limits
            self._move(ServerTrigger.DATA)
            self._chunks = None
            self._blamed = self._resets = True
            self._content = ContentReader(DotReader(), limits.max_message_bytes, limits.block_bytes)
            self._out.append(replies.START_CONTENT.encode())

    def _bdat(self, argument: str) -> None:
        size, last = parse_chunk(argument)
        limits = self._limits
        if size > max(limits.max_message_bytes, MAX_DISCARDED_OCTETS):
            self._fail(replies.TOO_LARGE)
            return
        chunks = self._chunks
        if chunks is None or self._state is not ServerState.CHUNKS:
            chunks = self._chunks = ChunkReader()
            self._content = ContentReader(chunks, limits.max_message_bytes, limits.block_bytes)
        self._blamed = self._refusal is None
        self._resets = self._state is not ServerState.COMMAND
        if self._refusal is None:
            self._refusal = self._chunk_refusal(chunks.total + size)
        if self._refusal is not None:
            self._content.discard()
        self._move(ServerTrigger.CHUNK)
        chunks.begin(size, last=last)

    def _chunk_refusal(self, total_bytes: int) -> Reply | None:
        if self._state is ServerState.COMMAND:
            return replies.RETURN_PATH_FIRST
        if not self._accepted:
            return replies.NO_RECIPIENTS
        return replies.TOO_LARGE if total_bytes > self._limits.max_message_bytes else None

    @property
    def _misplaced(self) -> Reply:
        """What RCPT and DATA hear outside the envelope."""
        begun = self._state is ServerState.CHUNKS
        return replies.CHUNKS_BEGUN if begun else replies.RETURN_PATH_FIRST

    # --- consequences ------------------------------------------------------------------------

    def _forget(self) -> None:
        """Nothing more belongs to the transaction there was."""
        self._refusal = None
        self._content.discard()

    def _end(self, reason: str) -> None:
        super()._end(reason)
        self._content.discard()
