"""outcome to storage in one transaction: state, attempt, event, obligation (▣2)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.delivery import FINAL, STATE_WORDS, TAKEN, State
from pillarbox.policy.directory import Uncertain
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.notice import notice_owed, read_notify
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.retry import RetryPolicy
from pillarbox.policy.routing import Route
from pillarbox.storage.interface.companions import NewObligation
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.storage.interface.settlement import Settlement, Verdict
from pillarbox.terms.ids import (
    ObjectId,
    format_message_id,
    message_of,
    message_time_ms,
    ordinal_of,
)

_KINDS: Final = {state: f"delivery.{state.value}" for state in State}
_UNCERTAIN: Final = "delivery.uncertain"
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_SERVERS: Final = Route.SERVERS.value
_DIRECT: Final = Route.DIRECT.value

Attempted = tuple[Addressee, Outcome, AttemptFacts]
"""One recipient after an attempt: who, what came of it, and what the attempt was."""


class Recording:
    """A settlement on its way into storage.

    The outcome of a finished transaction is never thrown away: while storage is in trouble it is
    offered again and again. Only with `StorageBroken` it ends unwritten; then this process stops,
    and the next one finds the deliveries uncertain.
    """

    __slots__ = ("_broken", "_pause_seconds", "_queue", "_settlement", "_then", "_waiters", "done")

    def __init__(self, queue: QueueStore, settlement: Settlement, then: Callable[[], None]) -> None:
        """`then` is called once, when it is `done`."""
        self._queue = queue
        self._settlement = settlement
        self._then = then
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._waiters: list[asyncio.Future[None]] = []
        self._broken: StorageBroken | None = None
        self.done = False
        queue.settle_soon(settlement, self._told)

    @property
    def next_due_at(self) -> int:
        """When the first of the deferred ones falls due; 0 where none is."""
        return min((v.due_at for v in self._settlement.verdicts if v.due_at), default=0)

    async def wait(self) -> None:
        """Until it is durable. Raises `StorageBroken` where it never will be."""
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self._broken is not None:
            raise self._broken

    def _told(self, error: BaseException | None) -> None:
        if isinstance(error, StorageTrouble) and not isinstance(error, StorageBroken):
            pause, self._pause_seconds = self._pause_seconds, self._pause_seconds * 2
            asyncio.get_running_loop().call_later(
                min(pause, _LONGEST_PAUSE_SECONDS), self._queue.settle_soon, self._settlement,
                self._told,
            )  # fmt: skip
            return
        self.done = True
        if error is not None:
            if isinstance(error, StorageBroken):
                self._broken = error
            else:
                self._broken = StorageBroken(detail=str(error))
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._then()


class Settler:
    """Turns outcomes into what storage writes, and sees it written."""

    def __init__(self, queue: QueueStore, retry: RetryPolicy, metrics: Metrics, news: News) -> None:
        self._queue = queue
        self._retry = retry
        self._metrics = metrics
        self._news = news

    def settle(
        self,
        outgoing: Outgoing,
        attempted: Sequence[Attempted],
        now_ms: int,
        then: Callable[[], None],
        *,
        server: ObjectId | None = None,
        server_errors: int | None = None,
        passed_on: bool = False,
        direct: bool = False,
    ) -> Recording:
        """Write down what became of some recipients of a message; `then` when that is durable.

        `passed_on` says that the server which took it was told who wishes to hear of it; `direct`
        that it is one of the recipients' own.
        """
        verdicts, obligations = [], []
        for addressee, outcome, facts in attempted:
            verdict = self._verdict(outgoing, addressee, outcome, facts, now_ms)
            verdicts.append(verdict)
            self._tell(verdict, outcome, facts, now_ms, _DIRECT if direct else _SERVERS)
            owed = _owed(outgoing, verdict, passed_on=passed_on)
            if owed is not None:
                obligations.append(NewObligation(owed, outgoing.app, verdict.delivery, now_ms))
        late = outgoing.answer_by is not None and now_ms >= outgoing.answer_by
        settlement = Settlement(
            now_ms, outgoing.app, verdicts, obligations, server, server_errors,
            # The waiting caller may have ended it. What a server said is written down all the same.
            unless_ended=late and all(_is_ours(outcome) for _, outcome, _ in attempted),
        )  # fmt: skip
        return Recording(self._queue, settlement, then)

    def _verdict(
        self,
        outgoing: Outgoing,
        addressee: Addressee,
        outcome: Outcome,
        facts: AttemptFacts,
        now_ms: int,
    ) -> Verdict:
        state, due_at = outcome.state, 0
        uncertain = outcome.maybe_delivered
        if state is State.DEFERRED:
            due_at = self._retry.next_due(facts.number, now_ms, addressee.delivery)
            if outgoing.answer_by is not None and due_at >= outgoing.answer_by:
                state = State.FAILED
            elif uncertain and outgoing.facts.uncertain == Uncertain.HOLD:
                state = State.HELD
            elif self._retry.gives_up(facts.number, now_ms, outgoing.expires_at):
                state = State.EXPIRED
            if state is State.DEFERRED:
                facts = replace(facts, due_at=due_at)
            else:
                due_at = 0
        kind = _UNCERTAIN if uncertain and state is not State.EXPIRED else _KINDS[state]
        return Verdict(
            addressee.delivery, addressee.address.encode(), state, facts.number,
            addressee.last_event, kind, facts, due_at, uncertain,
        )  # fmt: skip

    def _tell(
        self, verdict: Verdict, outcome: Outcome, facts: AttemptFacts, now_ms: int, route: str
    ) -> None:
        metrics, state = self._metrics, verdict.state
        metrics.delivery_attempts[route, outcome.state] += 1
        if verdict.uncertain:
            metrics.possible_duplicates[""] += 1
        if state in FINAL:
            metrics.deliveries_settled[state] += 1
            taken_at = message_time_ms(message_of(verdict.delivery))
            metrics.delivery_latency.observe((now_ms - taken_at) / 1000)
        if self._news.wanted:
            subject = format_message_id(message_of(verdict.delivery))
            text = f"{verdict.recipient.decode()}  {facts.words}"
            self._news.tell(now_ms, STATE_WORDS[state].word.lower(), subject, text)


def _is_ours(outcome: Outcome) -> bool:
    """Whether it speaks of no server, and nothing can have arrived."""
    return outcome.reply is None and not outcome.taken and not outcome.maybe_delivered


def _owed(outgoing: Outgoing, verdict: Verdict, *, passed_on: bool) -> str | None:
    recipient = outgoing.facts.recipients[ordinal_of(verdict.delivery) - 1]
    if verdict.state in TAKEN and "SUCCESS" not in recipient.notify:
        return None
    kind = notice_owed(
        verdict.state,
        read_notify(recipient.notify),
        outgoing.facts.return_path,
        outgoing.answer_by,
        passed_on=passed_on,
    )
    return kind.value if kind is not None else None
