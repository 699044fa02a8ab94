"""the one door: envelope and content in, Receipt out (▣1)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pillarbox.handover.mirror import Mirror
from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.message.hygiene import Tidied, tidy
from pillarbox.message.options import resolve
from pillarbox.message.received import received_field
from pillarbox.message.words import decode_words
from pillarbox.observe.crash import crash_point
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.authority import may_submit, may_use_author
from pillarbox.policy.delivery import STATE_WORDS, State
from pillarbox.policy.directory import Mode, Submitter, SubmitterKind, Uncertain
from pillarbox.policy.envelope import DEFAULT_NOTIFY, Envelope, Recipient
from pillarbox.policy.lanes import lane_for
from pillarbox.policy.routing import Route
from pillarbox.storage.interface.messages import BLOCK_BYTES
from pillarbox.storage.interface.queue import (
    Acceptance,
    Companion,
    LaneName,
    NewDelivery,
    NewMessage,
    QueueStore,
)
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import (
    DeliveryId,
    MessageId,
    ObjectId,
    delivery_id,
    format_message_id,
)
from pillarbox.terms.setting import setting

_STATE_OF_MODE = {Mode.SANDBOX: State.SANDBOXED, Mode.HOLD: State.HELD, Mode.LIVE: State.QUEUED}


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """How mail is taken charge of."""

    give_up_hours: int = setting(48, "How long delivery is tried before a message expires.")
    mirror_messages: int = setting(
        2000, "How many fresh messages are kept in memory until they are delivered."
    )
    mirror_mb: int = setting(64, "How much content those may have, in megabytes.")


@dataclass(slots=True)
class Content:
    """A message's content: all of it, or its first block where the rest is stored already."""

    head: bytes
    message: MessageId | None = None
    """The id under which further blocks were stored."""
    stored_blocks: int = 0
    stored_bytes: int = 0
    checked: bool = False
    """It came through a server session, which lets no bare line end pass."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a submitter gets back: we are responsible now."""

    message: MessageId
    id_text: str
    deliveries: tuple[tuple[DeliveryId, str, State], ...]


@dataclass(slots=True)
class _Arrival:
    """What the steps of one acceptance hand on to each other."""

    envelope: Envelope
    content: Content
    submitter: Submitter
    origin: Origin
    message: MessageId
    id_text: str
    now_ms: int
    answer_by: int | None
    companions: Sequence[Companion]


class Door:
    """Takes charge of messages, for every porch."""

    def __init__(
        self,
        queue: QueueStore,
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
        self._lanes: dict[ObjectId, int] = {}
        self._news = news
        self._give_up_ms = config.give_up_hours * 3_600_000

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
        does, `Trouble` where the store does not answer; then nothing was taken.
        """
        now_ms = self._clock.now_ms()
        message = content.message or self._queue.next_message_id(now_ms)
        arrival = _Arrival(
            envelope, content, submitter, origin, message, format_message_id(message), now_ms,
            answer_by, companions,
        )  # fmt: skip
        tidied = self._tidy_headers(arrival)
        _check_authority(submitter, tidied, envelope.return_path)
        facts = _facts(arrival, tidied, _resolve_options(submitter, tidied, options))
        deliveries, marked = await self._choose_lanes(arrival, len(tidied.head))
        await self._store(arrival, tidied, facts, deliveries, marked=marked)
        self._tell(arrival, tidied, deliveries)
        return Receipt(
            message,
            arrival.id_text,
            tuple(
                (delivery.id, recipient.address, delivery.state)
                for delivery, recipient in zip(deliveries, envelope.recipients, strict=True)
            ),
        )

    # --- the steps ----------------------------------------------------------------------------

    def _tidy_headers(self, arrival: _Arrival) -> Tidied:
        recipients = arrival.envelope.recipients
        only = recipients[0].address if len(recipients) == 1 else None
        return tidy(
            arrival.content.head,
            message_id=f"<{arrival.id_text}@{self._hostname}>",
            now_ms=arrival.now_ms,
            hostname=self._hostname,
            received=received_field(
                arrival.origin, self._hostname, arrival.id_text, only, arrival.now_ms
            ),
            relays=arrival.submitter.relays,
        )

    async def _choose_lanes(
        self, arrival: _Arrival, head_bytes: int
    ) -> tuple[list[NewDelivery], bool]:
        state = _STATE_OF_MODE[arrival.submitter.mode]
        app = arrival.submitter.app
        recipients = arrival.envelope.recipients
        lane = 0
        mirrored = marked = False
        if state is not State.SANDBOXED:
            # Mail through an app's servers has one lane, whatever its destinations.
            lane = self._lanes.get(app.id, 0)
            if not lane:
                name = LaneName(app.id, *lane_for(app, Route.SERVERS, ""))
                lane = self._lanes[app.id] = await self._queue.lane(name)
        if state is State.QUEUED and not arrival.content.stored_blocks:
            mirrored = self._mirror.reserve(head_bytes)
            # See `Outgoing.exact`: these are marked when their own content goes out.
            exact = arrival.answer_by is not None or arrival.submitter.uncertain is Uncertain.HOLD
            marked = mirrored and not exact and self._mirror.may_mark()
        return [
            NewDelivery(
                delivery_id(arrival.message, ordinal), recipient.address.encode(), state, lane,
                arrival.now_ms, mirrored,
            )
            for ordinal, recipient in enumerate(recipients, 1)
        ], marked  # fmt: skip

    async def _store(
        self,
        arrival: _Arrival,
        tidied: Tidied,
        facts: MessageFacts,
        deliveries: list[NewDelivery],
        *,
        marked: bool,
    ) -> None:
        content, submitter, head = arrival.content, arrival.submitter, tidied.head
        expires_at = arrival.now_ms + self._give_up_ms
        message = NewMessage(
            id=arrival.message,
            app=submitter.app.id,
            submitter=submitter.id,
            mode=submitter.mode.value,
            size=len(head) + content.stored_bytes,
            return_path=arrival.envelope.return_path.encode(),
            author=tidied.author.encode("utf-8", "replace"),
            subject=tidied.subject,
            message_id=tidied.message_id,
            expires_at=expires_at,
            uncertain=submitter.uncertain.value,
            facts=facts,
            answer_by=arrival.answer_by,
        )
        acceptance = Acceptance(
            message=message,
            at=arrival.now_ms,
            blocks=[head] if content.stored_blocks else _cut(head),
            stored_blocks=content.stored_blocks,
            deliveries=deliveries,
            marked=marked,
            companions=arrival.companions,
        )
        mirrored = deliveries[0].mirrored
        try:
            event = await self._queue.accept(acceptance)
        except BaseException:
            if mirrored:
                self._mirror.give_up(len(head), marked=marked)
            raise
        crash_point("accept-before-reply")
        if mirrored:
            self._mirror.put(
                Outgoing(
                    message=arrival.message,
                    app=message.app,
                    lane=deliveries[0].lane,
                    size=len(head),
                    content=head,
                    facts=facts,
                    addressees=[
                        Addressee(delivery.id, recipient.address, 0, event)
                        for delivery, recipient in zip(deliveries, facts.recipients, strict=True)
                    ],
                    expires_at=expires_at,
                    answer_by=arrival.answer_by,
                    mirrored=True,
                    checked=content.checked,
                    marked=marked,
                )
            )

    def _tell(self, arrival: _Arrival, tidied: Tidied, deliveries: list[NewDelivery]) -> None:
        metrics, porch = self._metrics, arrival.origin.porch
        state = deliveries[0].state
        metrics.messages_accepted[porch] += 1
        metrics.accepted_bytes[porch] += len(tidied.head) + arrival.content.stored_bytes
        metrics.deliveries_accepted[state.value] += len(deliveries)
        if self._news.wanted:
            subject = decode_words(tidied.subject)
            for recipient in arrival.envelope.recipients:
                text = f'{recipient.address}  "{subject}"  {arrival.submitter.app.name}'
                self._news.tell(
                    arrival.now_ms, STATE_WORDS[state].word.lower(), arrival.id_text, text
                )


def _check_authority(submitter: Submitter, tidied: Tidied, return_path: str) -> None:
    """The system itself writes only notices, and asks nobody. Every author needs permission."""
    if submitter.kind is SubmitterKind.SYSTEM:
        return
    refusal = may_submit(submitter) or may_use_author(submitter, tidied.authors, return_path)
    if refusal is not None:
        raise refusal


def _resolve_options(
    submitter: Submitter, tidied: Tidied, request: Mapping[str, str] | None
) -> dict[str, OptionValue]:
    if not (tidied.options or request or submitter.options or submitter.app.options):
        return {}
    return resolve(
        submitter.app.options,
        submitter.options,
        request or {},
        tidied.options,
        submitter.relays,
    )


def _facts(arrival: _Arrival, tidied: Tidied, options: dict[str, OptionValue]) -> MessageFacts:
    envelope, content, submitter = arrival.envelope, arrival.content, arrival.submitter
    return MessageFacts(
        return_path=envelope.return_path,
        recipients=tuple(
            RecipientFacts(recipient.address, _wishes(recipient), recipient.original)
            for recipient in envelope.recipients
        ),
        origin=arrival.origin,
        submitter_kind=submitter.kind.value,
        submitter_name=submitter.name,
        body=envelope.body if envelope.body != "7BIT" or tidied.head.isascii() else "8BITMIME",
        smtputf8=envelope.smtputf8,
        report=envelope.report,
        envelope_id=envelope.envelope_id,
        uncertain=submitter.uncertain.value,
        options=options,
        header_bytes=tidied.header_bytes,
        blocks=1 + content.stored_blocks if content.stored_blocks else len(_cut(tidied.head)),
    )


def _wishes(recipient: Recipient) -> str:
    if recipient.notify is DEFAULT_NOTIFY:
        return "FAILURE"
    return ",".join(sorted(recipient.notify))


def _cut(content: bytes) -> list[bytes]:
    if len(content) <= BLOCK_BYTES:
        return [content]
    return [content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
