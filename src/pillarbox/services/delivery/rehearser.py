"""messages rehearsed: the whole of rendering, in a child, and nothing sent

Children of its own, so that whoever looks at mail never keeps mail waiting.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import msgspec

from pillarbox.handover.config import DoorConfig, UnreadableOptions
from pillarbox.handover.signers import Signers
from pillarbox.handover.tracking import Tracking
from pillarbox.message.facts import MessageFacts, OptionValue
from pillarbox.message.keys import RenderKeys
from pillarbox.message.rehearsal import (
    REHEARSED_KEY,
    REHEARSED_TOKENS,
    Arrived,
    Asked,
    Rehearsal,
    Sent,
    arrive,
)
from pillarbox.message.render import RENDERER_VERSION, Hop
from pillarbox.message.wishes import is_individual
from pillarbox.net.workers import Workers
from pillarbox.policy.authority import may_submit, may_use_author
from pillarbox.policy.delivery import TAKEN
from pillarbox.policy.errors import Refusal
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.sending_domain import Signing
from pillarbox.policy.submitter import Submitter
from pillarbox.services.delivery.rehearsal_job import rehearse_in_child
from pillarbox.services.delivery.renderer import KeyRing
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.clock import Clock
from pillarbox.terms.errors import Trouble
from pillarbox.terms.ids import ObjectId, delivery_id, format_message_id

_AT_ONCE: Final = 2
"""One is read while a child works at the other."""
_MOST_WAITING: Final = 32
_SAME: Final = "These are the octets that left."
_OTHERS: Final = (
    "Other octets left: what is shown is made anew, and what leaves depends on what the server "
    "offers, who stands in as its author, and the version of the renderer ({} then, {} now)."
)


class Rehearser:
    """Tells what would be done to messages."""

    def __init__(
        self,
        keys: KeyRing,
        signers: Signers,
        tracking: Tracking,
        workers: Workers,
        clock: Clock,
        hostname: str,
        config: DoorConfig,
    ) -> None:
        """`signers` and `tracking` are those of the door."""
        self._keys = keys
        self._signers = signers
        self._tracking = tracking
        self._workers = workers
        self._clock = clock
        self._hostname = hostname
        self._lenient = config.unreadable_options is UnreadableOptions.IGNORE
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Room for one message; what is to be shown is read within it, so that those who wait hold
        nothing. Raises `Trouble` where too many do.
        """
        if self._waiting >= _MOST_WAITING:
            raise Trouble("Too many previews are being made just now.", retry_after_seconds=2)
        self._waiting += 1
        try:
            async with self._room:
                yield
        finally:
            self._waiting -= 1

    async def fresh(
        self,
        name: str,
        content: bytes,
        submitter: Submitter,
        options: Mapping[str, str],
        hop: Hop,
    ) -> tuple[Rehearsal, bytes]:
        """A message as it would leave if this submitter handed it over now. `content` has CRLF line
        ends.

        Its links are tracked with a key that no tracking host honours. Raises what the door would
        raise for its header or options, `CannotRender`, and `Trouble`.
        """
        await self._learn()
        arrived = arrive(
            content,
            Asked(
                self._clock.now_ms(), self._hostname, submitter.app.options, submitter.options,
                options, submitter.fixed_options, submitter.relays, self._lenient,
            ),
        )  # fmt: skip
        author = arrived.authors[0] if arrived.authors else ""
        signing = self._signers.signing_for(submitter.account.id, author)
        refusal = self._refusal(submitter, arrived.authors)
        remarks = () if refusal is None else (f"It would be refused: {refusal.sentence}",)
        # A signature is good wherever it is shown: who may not send gets none.
        key_ids = signing.key_ids if signing is not None and refusal is None else ()
        facts = msgspec.structs.replace(self._tracked(arrived.facts, signing), key_ids=key_ids)
        keys = RenderKeys(REHEARSED_TOKENS, (await self._keys.keys_for(facts)).signing)
        return await rehearse_in_child(
            self._workers, name, replace(arrived, facts=facts), hop, keys, content, remarks
        )

    async def stored(
        self,
        message: StoredMessage,
        account: ObjectId,
        content: bytes,
        row: DeliveryRow,
        last: AttemptFacts | None,
        options: Mapping[str, str],
        hop: Hop,
    ) -> tuple[Rehearsal, bytes]:
        """A message that was taken as it leaves for one recipient, with these options instead of
        those it has. `account` is whose it is, `last` the last attempt for him.

        With other options its links are tracked with a key that no tracking host honours. Raises
        `CannotRender`, and `Trouble`.
        """
        facts = message.facts
        if options:
            await self._learn()
            asked = {name: OptionValue(value, "request") for name, value in options.items()}
            facts = msgspec.structs.replace(facts, options={**facts.options, **asked})
            facts = self._tracked(facts, self._signers.signing_for(account, message.author))
        # As delivery does it: where all get the same, none of them is named.
        delivery = row.delivery if is_individual(facts) else delivery_id(message.id, 0)
        keys = await self._keys.keys_for(facts)
        if options:
            keys = RenderKeys(REHEARSED_TOKENS, keys.signing)
        name, arrived = format_message_id(message.id), Arrived(content, facts, delivery)
        told, leaves = await rehearse_in_child(self._workers, name, arrived, hop, keys)
        sent = None if options else _sent(row, last, content, leaves)
        return msgspec.structs.replace(told, recipient=row.recipient, sent=sent), leaves

    def _refusal(self, submitter: Submitter, authors: Sequence[str]) -> Refusal | None:
        """What the door would say of who writes it."""
        found = may_submit(submitter) or may_use_author(submitter, authors, "")
        if found is None:
            try:
                self._signers.check(submitter, authors)
            except Refusal as refusal:
                return refusal
        return found

    async def _learn(self) -> None:
        """As the door does it."""
        if not self._signers.known:
            await self._signers.learn()
        if not self._tracking.known:
            await self._tracking.learn()

    def _tracked(self, facts: MessageFacts, signing: Signing | None) -> MessageFacts:
        """As mail that is taken now would be tracked, with a key of no worth."""
        tracked = self._tracking.of(signing.tracking_host if signing is not None else "")
        return msgspec.structs.replace(
            facts, tracking_host=tracked.host, tracking_https=tracked.https,
            exceptions=tracked.exceptions, token_key=REHEARSED_KEY,
        )  # fmt: skip

    async def close(self) -> None:
        """End its children."""
        await self._workers.close()


def _sent(
    row: DeliveryRow, last: AttemptFacts | None, content: bytes, leaves: bytes
) -> Sent | None:
    """None where nobody has taken it."""
    if last is None or row.state not in TAKEN:
        return None
    digest = last.bytes_sha256 or hashlib.sha256(content).digest()
    same = digest == hashlib.sha256(leaves).digest()
    words = _SAME if same else _OTHERS.format(last.renderer, RENDERER_VERSION)
    return Sent(digest.hex(), last.renderer, same, words)
