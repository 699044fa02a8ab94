"""the one door: envelope and content in, Receipt out (▣1)"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from pillarbox.handover.arrival import Arrival, Told
from pillarbox.handover.config import DoorConfig, UnreadableOptions
from pillarbox.handover.facts import facts_of
from pillarbox.handover.mirror import Mirror
from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.handover.receipt import Content, Receipt
from pillarbox.handover.signers import Signers
from pillarbox.handover.sorting import Sorter, by_lane
from pillarbox.handover.spent import Spent
from pillarbox.handover.tracking import Tracked, Tracking
from pillarbox.message.facts import Origin
from pillarbox.message.hygiene import Tidied, tidy
from pillarbox.message.options import NOTHING_ASKED, Resolved, resolve
from pillarbox.message.received import received_field
from pillarbox.message.wishes import is_individual
from pillarbox.message.words import decode_words
from pillarbox.observe.crash import crash_point
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.authority import may_submit, may_use_author, too_large
from pillarbox.policy.credential import Once
from pillarbox.policy.delivery import STATE_WORDS, State
from pillarbox.policy.directory import Mode, Uncertain
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.errors import Refusal
from pillarbox.policy.events import OptionFacts
from pillarbox.policy.sending_domain import Signing
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.storage.interface.acceptance import Acceptance, NewDelivery, NewMessage
from pillarbox.storage.interface.companions import Companion
from pillarbox.storage.interface.errors import LimitReached, RecipientsTaken
from pillarbox.storage.interface.messages import BLOCK_BYTES
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import (
    delivery_id,
    format_message_id,
)

_STATE_OF_MODE = {Mode.SANDBOX: State.SANDBOXED, Mode.HOLD: State.HELD, Mode.LIVE: State.QUEUED}


class Door:
    """Takes charge of messages, for every porch."""

    def __init__(
        self,
        queue: QueueStore,
        sorter: Sorter,
        signers: Signers,
        tracking: Tracking,
        mirror: Mirror,
        clock: Clock,
        hostname: str,
        config: DoorConfig,
        *,
        metrics: Metrics,
        news: News,
    ) -> None:
        self._queue = queue
        self._mirror = mirror
        self._clock = clock
        self._hostname = hostname
        self._metrics = metrics
        self._sorter = sorter
        self._signers = signers
        self._tracking = tracking
        self._news = news
        self._give_up_ms = config.give_up_hours * 3_600_000
        self._spent = Spent()
        self._lenient = config.unreadable_options is UnreadableOptions.IGNORE
        self._shows_address = config.received_shows_address

    async def accept(
        self,
        envelope: Envelope,
        content: Content,
        submitter: Submitter,
        origin: Origin,
        *,
        options: Mapping[str, str] | None = None,
        answer_by: int | None = None,
        companions: Sequence[Companion] = (),
    ) -> Receipt:
        """Take charge of a message: when this returns, it is durable.

        Raises a `Refusal` where policy says no, `Repeated` or `AlreadyPaid` where a companion
        does, `Trouble` where the store does not answer; then nothing was taken. Whoever is
        cancelled while waiting may have handed it over all the same.
        """
        await self.prepare(submitter, envelope.recipients)
        promised: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.accept_soon(
            envelope, content, submitter, origin, partial(_keep, promised), options=options,
            answer_by=answer_by, companions=companions,
        )  # fmt: skip
        return await promised

    def is_prepared(self, submitter: Submitter, recipients: Sequence[Recipient]) -> bool:
        """Whether `accept_soon` may be called for mail of this submitter to these."""
        if not (self._signers.known and self._tracking.known):
            return False
        return submitter.mode is Mode.SANDBOX or self._sorter.knows(submitter.app.id, recipients)

    async def prepare(self, submitter: Submitter, recipients: Sequence[Recipient]) -> None:
        """Learn what the store must be asked before it can be taken. Raises `StorageTrouble`."""
        while not self.is_prepared(submitter, recipients):
            await self._signers.learn()
            await self._tracking.learn()
            if submitter.mode is not Mode.SANDBOX:
                await self._sorter.learn(submitter.app, recipients)

    def used_up(self, submitter: Submitter) -> Refusal | None:
        """Whether it is known that a limit of this submitter has nothing left; says no, never yes."""
        return self._spent.refusal(submitter, self._clock.now_ms()) if submitter.rates else None

    def accept_soon(
        self,
        envelope: Envelope,
        content: Content,
        submitter: Submitter,
        origin: Origin,
        told: Told,
        *,
        options: Mapping[str, str] | None = None,
        answer_by: int | None = None,
        companions: Sequence[Companion] = (),
    ) -> None:
        """As `accept`, for whoever `is_prepared` and does not wait: `told` hears when it is durable
        or why it is not. A `Refusal` is raised at once; `told` hears nothing then.
        """
        self._take(
            Arrival(envelope, content, submitter, origin, told, options, answer_by, companions)
        )

    def _take(self, arrival: Arrival) -> None:
        envelope, content, submitter = arrival.envelope, arrival.content, arrival.submitter
        origin = arrival.origin
        now_ms = arrival.now_ms = self._clock.now_ms()
        number = content.message or self._queue.next_message_id(now_ms)
        id_text = format_message_id(number)
        recipients = envelope.recipients
        tidied = tidy(
            content.head,
            message_id=id_text,
            now_ms=now_ms,
            hostname=self._hostname,
            received=received_field(
                origin, self._hostname, id_text,
                recipients[0].address if len(recipients) == 1 else None, now_ms,
                shows_address=self._shows_address,
            ),
            relays=submitter.relays, return_path=envelope.return_path,
        )  # fmt: skip
        _check_authority(submitter, tidied, envelope.return_path)
        self._signers.check(submitter, tidied.authors)
        if tidied.options or submitter.once is Once.MESSAGE_ID:
            arrival.recognise(tidied)
            envelope = arrival.envelope
            recipients = envelope.recipients
        head, stored_blocks = tidied.head, content.stored_blocks
        blocks = [head] if stored_blocks else _cut(head)
        resolved = self._resolve_options(arrival, tidied)
        signing = self._signers.signing_for(submitter.account.id, tidied.author)
        facts = facts_of(
            envelope, submitter, origin, resolved.options,
            header_bytes=tidied.header_bytes, blocks=len(blocks) + stored_blocks,
            eight_bit=content.eight_bit or not head.isascii(), tls_optional=tidied.tls_optional,
            key_ids=signing.key_ids if signing is not None else (),
            tracked=self._tracked(resolved, signing),
        )  # fmt: skip
        state = _STATE_OF_MODE[submitter.mode]
        if arrival.held and state is State.QUEUED:
            state = State.HELD
        lanes: int | Sequence[int] = 0
        if state is not State.SANDBOXED:
            lanes = self._sorter.lanes(submitter.app.id, tidied.author, recipients)
        message = NewMessage(
            number, submitter.app.id, submitter.id, submitter.mode,
            len(head) + content.stored_bytes, envelope.return_path.encode(),
            tidied.author.encode("utf-8", "replace"), tidied.subject, tidied.message_id,
            now_ms + self._give_up_ms, submitter.uncertain, facts, arrival.answer_by,
        )  # fmt: skip
        _check_size(submitter, message.size)
        born = [
            NewDelivery(
                delivery_id(number, ordinal), one.address.encode(), state,
                lanes if isinstance(lanes, int) else lanes[ordinal - 1], now_ms,
            )
            for ordinal, one in enumerate(recipients, 1)
        ]  # fmt: skip
        acceptance = Acceptance(message, now_ms, blocks, stored_blocks, born,
                                companions=arrival.accompanied(), reason=arrival.reason)  # fmt: skip
        if resolved.remarks:
            acceptance.remarks = [OptionFacts(*remark) for remark in resolved.remarks]
        arrival.outgoing = ()
        if state is State.QUEUED and not stored_blocks:
            arrival.outgoing = self._mirrored(acceptance, head, plain=content.plain)
        arrival.receipt = Receipt(number, id_text, born)
        arrival.size = message.size
        arrival.subject = tidied.subject
        self._queue.accept_soon(acceptance, partial(self._committed, arrival))

    # --- the steps ----------------------------------------------------------------------------

    def _mirrored(self, acceptance: Acceptance, head: bytes, *, plain: bool) -> Sequence[Outgoing]:
        """What has room in memory, lane by lane: it is born owned, and perhaps marked, and leaves
        from there.
        """
        message, born = acceptance.message, acceptance.deliveries
        lanes: list[Sequence[NewDelivery]] = [born]
        if len(born) > 1:
            # Whoever gets a copy of his own goes by himself.
            alone = is_individual(message.facts)
            lanes = [(one,) for one in born] if alone else by_lane(born)
        lanes = [some for some in lanes if self._mirror.reserve(len(head), message.app)]
        if not lanes:
            return ()
        # See `Outgoing.exact`: these are marked when their own content goes out.
        exact = message.answer_by is not None or message.uncertain == Uncertain.HOLD
        acceptance.marked = marked = not exact and self._mirror.may_mark(len(lanes))
        found = []
        for some in lanes:
            for one in some:
                one.mirrored = True
            addressees = [Addressee(one.id, one.recipient.decode(), 0, 0) for one in some]
            found.append(
                Outgoing(
                    message.id, message.app, some[0].lane, len(head), head, message.facts,
                    addressees, message.expires_at, message.answer_by, True, plain, marked,
                )
            )  # fmt: skip
        return found

    def _committed(self, arrival: Arrival, event: int, error: BaseException | None) -> None:
        if error is not None:
            for outgoing in arrival.outgoing:
                self._mirror.give_up(outgoing.size, outgoing.app, marked=outgoing.marked)
            self._refused(arrival, error)
            return
        crash_point("accept-before-reply")
        for outgoing in arrival.outgoing:
            for addressee in outgoing.addressees:
                addressee.last_event = event
            self._mirror.put(outgoing)
        assert arrival.receipt is not None
        if any(one.state is State.QUEUED and not one.mirrored for one in arrival.receipt.born):
            self._mirror.tell_of_stored()  # by which whoever waits for fresh mail does not see it
        self._tell(arrival)
        arrival.told(arrival.receipt, None)

    def _refused(self, arrival: Arrival, error: BaseException) -> None:
        """Some refusals of the store only mean that it has to be handed over otherwise."""
        try:
            match error:
                case RecipientsTaken():
                    receipt = arrival.without(error)
                    if receipt is not None:
                        arrival.told(receipt, None)
                        return
                case LimitReached():
                    refusal = arrival.over(error)
                    if refusal is not None:
                        rate = arrival.rate(error)
                        if rate is not None and error.spent >= error.most:
                            self._spent.note(arrival.submitter, rate, error.ends_at)
                        arrival.told(None, refusal)
                        return
                case _:
                    arrival.told(None, error)
                    return
            self._take(arrival)
        except Exception as final:
            arrival.told(None, final)

    def _resolve_options(self, arrival: Arrival, tidied: Tidied) -> Resolved:
        submitter, request = arrival.submitter, arrival.options
        if not (tidied.options or request or submitter.options or submitter.app.options):
            return NOTHING_ASKED
        return resolve(
            submitter.app.options,
            submitter.options,
            request or {},
            tidied.options,
            relays=submitter.relays,
            fixed=submitter.fixed_options,
            lenient=self._lenient,
        )

    def _tracked(self, resolved: Resolved, signing: Signing | None) -> Tracked | None:
        if not resolved.options:
            return None
        return self._tracking.of(signing.tracking_host if signing is not None else "")

    def _tell(self, arrival: Arrival) -> None:
        metrics, porch = self._metrics, arrival.origin.porch
        assert arrival.receipt is not None
        born = arrival.receipt.born
        state = born[0].state
        metrics.messages_accepted[porch] += 1
        metrics.accepted_bytes[porch] += arrival.size
        metrics.deliveries_accepted[state] += len(born)
        if self._news.wanted:
            subject = decode_words(arrival.subject)
            for recipient in arrival.recipients:
                text = f'{recipient.address}  "{subject}"  {arrival.submitter.app.name}'
                self._news.tell(
                    arrival.now_ms, STATE_WORDS[state].word.lower(), arrival.receipt.id_text, text
                )


def _keep(
    promised: asyncio.Future[Receipt], receipt: Receipt | None, error: BaseException | None
) -> None:
    if promised.done():
        return
    if receipt is not None:
        promised.set_result(receipt)
    else:
        promised.set_exception(error or RuntimeError("nothing was said"))


def _check_authority(submitter: Submitter, tidied: Tidied, return_path: str) -> None:
    """The system itself writes only notices, and asks nobody. Every author needs permission."""
    if submitter.kind is SubmitterKind.SYSTEM:
        return
    refusal = may_submit(submitter) or may_use_author(submitter, tidied.authors, return_path)
    if refusal is not None:
        raise refusal


def _check_size(submitter: Submitter, size_bytes: int) -> None:
    most = submitter.max_message_bytes
    if most and size_bytes > most:
        raise too_large(size_bytes, most)


def _cut(content: bytes) -> list[bytes]:
    if len(content) <= BLOCK_BYTES:
        return [content]
    return [content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
