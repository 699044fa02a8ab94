"""one try for a message: along the servers until everybody is settled or none is left"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.handover.settle import Attempted, Settled, Settler
from pillarbox.observe.log import logger
from pillarbox.policy.directory import Server
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.hosts import HostWalk
from pillarbox.policy.outcome import Outcome, from_caller_told, from_trouble
from pillarbox.policy.routing import servers_in_order
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.services.delivery.transaction import Given, Transactions
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import DeliveryId

_log = logger("delivery")


@dataclass(slots=True)
class Result:
    """What an attempt came to, for the lane."""

    pained: bool = False
    """A server was at fault, or asked for less."""
    next_due_at: int = 0


class Attempts:
    """Makes attempts. Everything it learns is settled before or while it returns."""

    def __init__(
        self,
        directory: DirectoryStore,
        circuits: Circuits,
        transactions: Transactions,
        settler: Settler,
        clock: Clock,
        *,
        recipients_per_transaction: int,
    ) -> None:
        self._directory = directory
        self._circuits = circuits
        self._transactions = transactions
        self._settler = settler
        self._clock = clock
        self._most_recipients = recipients_per_transaction

    async def attempt(
        self, outgoing: Outgoing, finished: Callable[[asyncio.Future[None]], None]
    ) -> Result:
        """One attempt for a message; `finished` is given each settlement on its way.

        Raises `StorageTrouble` where storage keeps it from being made; nothing has left then.
        """
        result = Result()
        now_ms = self._clock.now_ms()
        if outgoing.answer_by is not None and now_ms >= outgoing.answer_by:
            over = [(addressee, from_caller_told()) for addressee in outgoing.addressees]
            settled = self._settle(outgoing, over, Given([]), None, now_ms)
            finished(settled.recorded)
            return result
        by_id = {addressee.delivery: addressee for addressee in outgoing.addressees}
        try:
            await self._along(outgoing, by_id, result, finished)
        except StorageTrouble:
            outgoing.addressees = list(by_id.values())
            raise
        except Exception:
            # The boundary of one unit of work: what nobody foresaw waits, and is seen.
            _log.exception("attempt.broke", message=outgoing.message)
            puzzled = [(one, from_trouble("something unexpected happened in Pillarbox"))
                       for one in by_id.values()]  # fmt: skip
            settled = self._settle(outgoing, puzzled, Given([]), None, self._clock.now_ms())
            finished(settled.recorded)
            result.pained = True
            result.next_due_at = _sooner(result.next_due_at, settled.next_due_at)
        return result

    async def _along(
        self,
        outgoing: Outgoing,
        by_id: dict[DeliveryId, Addressee],
        result: Result,
        finished: Callable[[asyncio.Future[None]], None],
    ) -> None:
        """From server to server; whoever is settled leaves `by_id`."""
        walk = await self._walk(outgoing)
        while (server := walk.next_host()) is not None:
            if outgoing.answer_by is not None and self._clock.now_ms() >= outgoing.answer_by:
                break
            way = self._circuits.way(server)
            if not way.breaker.may_use(self._clock.now_ms()):
                walk.pass_by(server)
                continue
            async with way.slots:
                await self._at(server, walk, by_id, outgoing, result, finished)
        left = [
            (by_id[delivery], ending.outcome, ending.server)
            for delivery, ending in walk.endings().items()
            if delivery in by_id
        ]
        for server_of, endings in _by_server(left):
            settled = self._settle(outgoing, endings, Given([]), server_of, self._clock.now_ms())
            for addressee, _ in endings:
                del by_id[addressee.delivery]
            finished(settled.recorded)
            result.next_due_at = _sooner(result.next_due_at, settled.next_due_at)

    async def _walk(self, outgoing: Outgoing) -> HostWalk[DeliveryId]:
        app = await self._directory.app(outgoing.app)
        servers = await self._directory.servers(outgoing.app)
        ordered = servers_in_order(servers, app.strategy, outgoing.message)
        return HostWalk(ordered, (addressee.delivery for addressee in outgoing.addressees))

    async def _at(
        self,
        server: Server,
        walk: HostWalk[DeliveryId],
        by_id: dict[DeliveryId, Addressee],
        outgoing: Outgoing,
        result: Result,
        finished: Callable[[asyncio.Future[None]], None],
    ) -> None:
        """Everybody who is open, at one server; settles those this ends and takes them from `by_id`."""
        for some in _portions([by_id[d] for d in walk.open if d in by_id], self._most_recipients):
            given = await self._transactions.give(server, outgoing, some)
            for delivery in given.gone:
                by_id.pop(delivery, None)
            if given.gone:
                return
            for addressee, outcome in given.outcomes:
                walk.record(server, outcome, (addressee.delivery,))
            fault = next((o for _, o in given.outcomes if o.server_at_fault), None)
            if fault is not None:
                errors: int | None = self._circuits.failed(server, fault)
                result.pained = True
            else:
                errors = self._circuits.succeeded(server)
            still_open = set(walk.open)
            ended = [one for one in given.outcomes if one[0].delivery not in still_open]
            settled = self._settle(outgoing, ended, given, server, self._clock.now_ms(), errors)
            for addressee, _ in ended:
                del by_id[addressee.delivery]
            finished(settled.recorded)
            result.next_due_at = _sooner(result.next_due_at, settled.next_due_at)
            await self._transactions.end(given, settled.recorded)
            if fault is not None and fault.closes:
                asked = {addressee.delivery for addressee in some}
                walk.record(server, fault, [d for d in walk.open if d in by_id and d not in asked])
                return

    def _settle(
        self,
        outgoing: Outgoing,
        endings: Sequence[tuple[Addressee, Outcome]],
        given: Given,
        server: Server | None,
        now_ms: int,
        server_errors: int | None = None,
    ) -> Settled:
        attempted = [
            Attempted(addressee, outcome, _facts(addressee, outcome, given, server))
            for addressee, outcome in endings
        ]
        return self._settler.settle(
            outgoing,
            attempted,
            now_ms,
            server=server.id if server is not None else None,
            server_errors=server_errors,
        )


def _facts(
    addressee: Addressee, outcome: Outcome, given: Given, server: Server | None
) -> AttemptFacts:
    return AttemptFacts(
        number=addressee.attempts + 1,
        server=server.id if server is not None else b"",
        session=given.session,
        category=outcome.category,
        code=outcome.code,
        status=outcome.status,
        text=outcome.text,
        dialogue=given.dialogue,
        bytes_sha256=given.digest,
        renderer=given.renderer,
        words=outcome.words,
    )


def _portions(addressees: list[Addressee], most: int) -> Iterator[list[Addressee]]:
    for start in range(0, len(addressees), most):
        yield addressees[start : start + most]


def _by_server(
    left: Sequence[tuple[Addressee, Outcome, Server | None]],
) -> list[tuple[Server | None, list[tuple[Addressee, Outcome]]]]:
    groups: dict[bytes, tuple[Server | None, list[tuple[Addressee, Outcome]]]] = {}
    for addressee, outcome, server in left:
        key = server.id if server is not None else b""
        groups.setdefault(key, (server, []))[1].append((addressee, outcome))
    return list(groups.values())


def _sooner(one: int, other: int) -> int:
    return min(one or other, other or one)
