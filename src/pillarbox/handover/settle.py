"""outcome to storage in one transaction: state, attempt, event, obligation (▣2)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.delivery import FINAL, STATE_WORDS, State
from pillarbox.policy.directory import Uncertain
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.notice import notice_owed, read_notify
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.retry import RetryPolicy
from pillarbox.policy.routing import Route
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble
from pillarbox.storage.interface.queue import (
    NewObligation,
    QueueStore,
    Settlement,
    Verdict,
)
from pillarbox.terms.ids import (
    ObjectId,
    format_message_id,
    message_of,
    message_time_ms,
    ordinal_of,
)

_KINDS: Final = {state: f"delivery.{state.value}" for state in State}
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class Attempted:
    """One recipient after an attempt: who, what came of it, and what the attempt was."""

    addressee: Addressee
    outcome: Outcome
    facts: AttemptFacts


@dataclass(frozen=True, slots=True)
class Settled:
    """A settlement on its way into storage."""

    verdicts: Sequence[Verdict]
    recorded: asyncio.Future[None]
    """Done when it is durable."""

    @property
    def next_due_at(self) -> int:
        """When the first of the deferred ones falls due; 0 where none is."""
        return min((v.due_at for v in self.verdicts if v.due_at), default=0)


class Settler:
    """Turns outcomes into what storage writes, and sees it written."""

    def __init__(self, queue: QueueStore, retry: RetryPolicy, metrics: Metrics, news: News) -> None:
        self._queue = queue
        self._retry = retry
        self._metrics = metrics
        self._news = news
        self._again: set[asyncio.Task[None]] = set()

    def settle(
        self,
        outgoing: Outgoing,
        attempted: Sequence[Attempted],
        now_ms: int,
        *,
        server: ObjectId | None = None,
        server_errors: int | None = None,
    ) -> Settled:
        """Write down what became of some recipients of a message.

        The outcome of a finished transaction is never thrown away: while storage is in trouble it
        is offered again and again. `recorded` fails only with `StorageBroken`, when this process
        must stop; then the deliveries are found uncertain by the next one.
        """
        verdicts, obligations = [], []
        for one in attempted:
            verdict = self._verdict(outgoing, one, now_ms)
            verdicts.append(verdict)
            self._tell(verdict, one, now_ms)
            owed = _owed(outgoing, verdict)
            if owed is not None:
                obligations.append(NewObligation(owed, outgoing.app, verdict.delivery, now_ms))
        settlement = Settlement(now_ms, outgoing.app, verdicts, obligations, server, server_errors)
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written = asyncio.ensure_future(self._queue.settle(settlement))
        written.add_done_callback(partial(self._written, settlement, recorded))
        return Settled(verdicts, recorded)

    def _written(
        self,
        settlement: Settlement,
        recorded: asyncio.Future[None],
        written: asyncio.Future[None],
    ) -> None:
        error = written.exception()
        if error is None:
            _tell(recorded, None)
        elif isinstance(error, StorageTrouble) and not isinstance(error, StorageBroken):
            task = asyncio.ensure_future(self._offer_again(settlement, recorded))
            self._again.add(task)
            task.add_done_callback(self._again.discard)
        else:
            _tell(recorded, error)

    async def _offer_again(self, settlement: Settlement, recorded: asyncio.Future[None]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            try:
                await self._queue.settle(settlement)
            except StorageBroken as error:
                _tell(recorded, error)
                return
            except StorageTrouble:
                continue
            _tell(recorded, None)
            return

    def _verdict(self, outgoing: Outgoing, one: Attempted, now_ms: int) -> Verdict:
        outcome, addressee, facts = one.outcome, one.addressee, one.facts
        attempts = facts.number
        state, due_at = outcome.state, 0
        kind = _KINDS[state]
        if state is State.DEFERRED:
            due_at = self._retry.next_due(attempts, now_ms, addressee.delivery)
            if outgoing.answer_by is not None and due_at >= outgoing.answer_by:
                state = State.FAILED
            elif outcome.maybe_delivered and outgoing.facts.uncertain == Uncertain.HOLD:
                state = State.HELD
            elif self._retry.gives_up(attempts, now_ms, outgoing.expires_at):
                state = State.EXPIRED
            if state is State.DEFERRED:
                facts = replace(facts, due_at=due_at)
            else:
                due_at = 0
            kind = _KINDS[state]
            if outcome.maybe_delivered and state is not State.EXPIRED:
                kind = "delivery.uncertain"
        return Verdict(
            delivery=addressee.delivery,
            recipient=addressee.address.encode(),
            state=state,
            attempts=attempts,
            previous_event=addressee.last_event,
            kind=kind,
            data=facts,
            due_at=due_at,
            uncertain=outcome.maybe_delivered,
        )

    def _tell(self, verdict: Verdict, one: Attempted, now_ms: int) -> None:
        metrics, state = self._metrics, verdict.state
        metrics.delivery_attempts[Route.SERVERS.value, one.outcome.state.value] += 1
        if verdict.uncertain:
            metrics.possible_duplicates[""] += 1
        if state in FINAL:
            metrics.deliveries_settled[state.value] += 1
            taken_at = message_time_ms(message_of(verdict.delivery))
            metrics.delivery_latency.observe((now_ms - taken_at) / 1000)
        if self._news.wanted:
            subject = format_message_id(message_of(verdict.delivery))
            text = f"{one.addressee.address}  {one.facts.words}"
            self._news.tell(now_ms, STATE_WORDS[state].word.lower(), subject, text)


def _tell(recorded: asyncio.Future[None], error: BaseException | None) -> None:
    """Whoever waited may have been cancelled, and the future with it: then nobody needs to know."""
    if recorded.done():
        return
    if error is None:
        recorded.set_result(None)
    else:
        recorded.set_exception(error)


def _owed(outgoing: Outgoing, verdict: Verdict) -> str | None:
    if verdict.state is State.HANDED_OVER or verdict.state is State.DELIVERED:
        if "SUCCESS" not in outgoing.facts.recipients[ordinal_of(verdict.delivery) - 1].notify:
            return None
    recipient = outgoing.facts.recipients[ordinal_of(verdict.delivery) - 1]
    kind = notice_owed(
        verdict.state,
        read_notify(recipient.notify),
        outgoing.facts.return_path,
        outgoing.answer_by,
    )
    return kind.value if kind is not None else None
