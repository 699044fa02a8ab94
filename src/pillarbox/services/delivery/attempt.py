"""one try for a message: along the servers until everybody is settled or none is left"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.handover.settle import Recording, Settler
from pillarbox.message.wishes import is_individual
from pillarbox.observe.log import logger
from pillarbox.policy.breaker import Circuit
from pillarbox.policy.directory import App, Strategy
from pillarbox.policy.hosts import HostWalk, unasked
from pillarbox.policy.lanes import only_way
from pillarbox.policy.outcome import Outcome, from_caller_told, from_limit, from_trouble
from pillarbox.policy.routing import BARRED, servers_in_order, ways_of_lane
from pillarbox.policy.server import Kind, Server
from pillarbox.services.delivery.admission import Admission
from pillarbox.services.delivery.ahead import Following
from pillarbox.services.delivery.attempt_facts import facts_of
from pillarbox.services.delivery.circuits import Circuits, is_unspent
from pillarbox.services.delivery.course import Course
from pillarbox.services.delivery.given import Given
from pillarbox.services.delivery.offer import Offers
from pillarbox.services.delivery.report import Trouble
from pillarbox.services.delivery.slots import Slots
from pillarbox.services.delivery.straight import Errand, Straight
from pillarbox.services.delivery.transaction import Transactions
from pillarbox.services.delivery.ways import Row
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.queue import LaneName
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import DeliveryId, ObjectId

_log = logger("delivery")

_EVERYBODY: Final = 1 << 30

Endings = Sequence[tuple[Addressee, Outcome]]


class Attempts:
    """Makes attempts. Everything one learns is on its way into storage when it returns."""

    def __init__(
        self,
        directory: DirectoryStore,
        circuits: Circuits,
        transactions: Transactions,
        offers: Offers,
        settler: Settler,
        straight: Straight,
        clock: Clock,
        *,
        recipients_per_transaction: int,
    ) -> None:
        self._directory = directory
        self._circuits = circuits
        self._admission = Admission(circuits, clock)
        self._transactions = transactions
        self._offers = offers
        self._settler = settler
        self._straight = straight
        self._clock = clock
        self._most_recipients = recipients_per_transaction
        self._certain: dict[ObjectId, tuple[App, Sequence[Server], list[Server]]] = {}

    async def attempt(self, course: Course) -> None:
        """One attempt for a message.

        Raises `StorageTrouble` where storage keeps it from being made; those who are left in the
        course have not been sent anything then, and stay its addressees.
        """
        outgoing = course.outgoing
        try:
            await self._along(course)
        except StorageTrouble:
            outgoing.addressees = list(course.left.values())
            raise
        except Exception:
            # The boundary of one unit of work: what nobody foresaw waits, and is seen.
            _log.exception("attempt.broke", message=outgoing.message)
            course.pained = True
            self._end(course, from_trouble("something unexpected happened in Pillarbox"))
        finally:
            self._transactions.over(outgoing)

    def stop_waiting(self) -> None:
        """This node stops: nobody waits any more for his turn, at a site or at a server."""
        self._straight.close()
        self._circuits.close_lines()

    async def _along(self, course: Course) -> None:
        """From server to server; most mail is taken by the first."""
        servers, certain, barred = await self._servers(course.outgoing, course.lane)
        walk = HostWalk(servers, course.left)
        if barred is not None:
            walk.pass_by(barred, BARRED)
        while (server := walk.next_host()) is not None:
            now_ms = self._clock.now_ms()
            if course.too_late(now_ms):
                self._end(course, from_caller_told())
                return
            row = self._circuits.row(server)
            way = row.way
            if server.kind is Kind.DIRECT:
                await self._straight_on(row, walk, course)
                if not course.left:
                    return
                continue
            most = len(course.left)
            if way.breaker.circuit is not Circuit.CLOSED or way.allowance is not None or way.marred:
                most = await self._admission.at(row, walk, most, course.outgoing.answer_by)
                if not most:
                    self._transactions.over(course.outgoing)
                    continue
            # What follows may be said on the same connection only if it goes there for sure.
            course.outgoing.elsewhere = walk.goes_on
            slots = way.slots
            following = course.following if certain and server is servers[0] else None
            if following is not None and slots.others_wait(course.outgoing.app):
                following = None
            if way.allowance is not None and not way.allowance.plenty:
                following = None
            # Where there is room, and nearly always there is, nothing is waited for.
            if not self._transactions.take_slot(course.outgoing, slots) and not slots.take_now():
                patience_seconds = course.seconds_left(now_ms)
                if not await slots.take(course.outgoing.app, patience_seconds):
                    self._end(course, from_caller_told())
                    return
            kept = False
            try:
                kept = await self._at(server, walk, course, following, slots, None, most)
            finally:
                if not kept:
                    slots.give_back()
            if not course.left:
                return
        endings = walk.endings()
        by_server: dict[Server | None, list[tuple[Addressee, Outcome]]] = {}
        for delivery, addressee in course.left.items():
            ending = endings[delivery]
            by_server.setdefault(ending.server, []).append((addressee, ending.outcome))
        for last, some in by_server.items():
            course.trouble = Trouble(self._clock.now_ms(), None, some[0][1])
            self._settle(course, some, last)

    async def _straight_on(self, row: Row, walk: HostWalk[DeliveryId], course: Course) -> None:
        """By the direct way, as many at a time as its limits let go together."""
        errand, allowance = self._errand(row, walk, course), row.way.allowance
        waiting = list(course.left.values())
        while waiting and not errand.too_late():
            most = len(waiting)
            if allowance is not None:
                most = await self._admission.at(row, walk, most, course.outgoing.answer_by)
                if not most:
                    return
            some, waiting = waiting[:most], waiting[most:]
            await self._straight.along(errand, some)
            if allowance is not None:
                # What a host takes as a whole is settled without a record in the walk.
                last = [(one.delivery, walk.last(one.delivery)) for one in some]
                allowance.give_back(
                    sum(
                        delivery in course.left if outcome is None else is_unspent(outcome)
                        for delivery, outcome in last
                    )
                )

    async def _servers(
        self, outgoing: Outgoing, lane: LaneName | None
    ) -> tuple[list[Server], bool, Server | None]:
        """The servers in the order in which they are tried, whether every message of the app
        begins with the same one, and the disabled one that the mail is bound to.
        """
        app = await self._directory.app(outgoing.app)
        servers = await self._directory.servers(outgoing.app)
        if lane is not None:
            only = only_way(lane.route, lane.destination)
            ordered, barred = ways_of_lane(
                lane.route, only, servers, app.strategy, outgoing.message
            )
            return ordered, False, barred
        known = self._certain.get(outgoing.app)
        if known is not None and known[0] is app and known[1] is servers:
            return known[2], True, None
        ordered = servers_in_order(servers, app.strategy, outgoing.message)
        certain = len(ordered) == 1 or (
            app.strategy is Strategy.PRIORITY
            and len({server.priority for server in ordered}) == len(ordered)
        )
        if certain:
            self._certain[outgoing.app] = (app, servers, ordered)
        return ordered, certain, None

    async def _at(
        self,
        server: Server,
        walk: HostWalk[DeliveryId],
        course: Course,
        following: Following | None,
        slots: Slots,
        only: list[Addressee] | None = None,
        most: int = _EVERYBODY,
    ) -> bool:
        """Everybody who is open (`only` these, `most` of them at most), at one server; settles those
        whom this ends. Gives whether the connection keeps its slot for the message that follows.
        """
        kept = False
        open_here = list(course.left.values()) if only is None else only
        waiting, open_here = open_here[most:], open_here[:most]
        together = 1 if is_individual(course.outgoing.facts) else self._most_recipients
        portions = deque(_portions(open_here, together))
        if waiting or len(portions) > 1:
            following = None
        while portions:
            some = [one for one in portions.popleft() if one.delivery in course.left]
            if not some:
                continue
            given = await self._offers.make(server, course.outgoing, some, following)
            fault = None
            ended: Endings = given.outcomes
            if waiting or not given.all_taken:
                ended, fault = self._record(server, walk, course, given)
            errors = self._note_health(server, fault, given)
            recording = self._settle(course, ended, server, given, errors)
            # Whoever is still open is offered elsewhere, by hands that must not hold a slot meanwhile.
            after = None if course.left else following
            kept = await self._transactions.end(given, recording, after, slots)
            if given.gone and (unsent := given.unsent(some)):
                portions.appendleft(unsent)
            if fault is not None and fault.closes:
                others = [one for rest in portions for one in rest] + waiting
                walk.record(server, unasked(fault), [one.delivery for one in others])
                return kept
        if waiting:
            walk.record(server, from_limit(), [one.delivery for one in waiting])
        return kept

    def _record(
        self, server: Server, walk: HostWalk[DeliveryId], course: Course, given: Given
    ) -> tuple[Endings, Outcome | None]:
        """Who is settled by what a server did, and what was the server's fault in it."""
        for delivery in given.gone:
            course.left.pop(delivery, None)
        given.outcomes = [one for one in given.outcomes if one[0].delivery in course.left]
        for addressee, outcome in given.outcomes:
            walk.record(server, outcome, (addressee.delivery,))
        fault = next((o for _, o in given.outcomes if o.server_at_fault), None)
        course.pained = course.pained or fault is not None
        refused = next((o for _, o in given.outcomes if not o.taken), None)
        if refused is not None:
            course.trouble = Trouble(self._clock.now_ms(), server, refused)
        still_open = set(walk.open)
        return [one for one in given.outcomes if one[0].delivery not in still_open], fault

    def _note_health(self, server: Server, fault: Outcome | None, given: Given) -> int | None:
        # One that takes others of the same message works, whatever it says of one recipient.
        if fault is not None and any(outcome.taken for _, outcome in given.outcomes):
            fault = None
        if server.is_mx_host:
            hosts = self._straight.hosts
            if fault is not None:
                hosts.failed(server, fault)
            elif given.outcomes:
                hosts.succeeded(server)
            return None
        if fault is not None:
            return self._circuits.failed(server, fault, len(given.outcomes))
        return self._circuits.succeeded(server) if given.outcomes else None

    def _errand(self, row: Row, walk: HostWalk[DeliveryId], course: Course) -> Errand:
        """What the direct way needs to know of an attempt, and may do in it."""

        async def give(host: Server, some: list[Addressee]) -> None:
            await self._at(host, walk, course, None, row.way.slots, some)

        def end(server: Server, outcome: Outcome, some: Sequence[Addressee]) -> None:
            walk.record(server, outcome, [addressee.delivery for addressee in some])
            self._settle(course, [(addressee, outcome) for addressee in some], server)

        return Errand(
            row.server, course.outgoing, walk, course.left, course.lane is not None,
            row.way.slots, give, self._transactions.part, end,
            lambda: course.too_late(self._clock.now_ms()),
            lambda: course.seconds_left(self._clock.now_ms()),
        )  # fmt: skip

    def _end(self, course: Course, outcome: Outcome) -> None:
        """The same outcome for all who are left."""
        course.trouble = Trouble(self._clock.now_ms(), None, outcome)
        self._settle(course, [(addressee, outcome) for addressee in course.left.values()], None)

    def _settle(
        self,
        course: Course,
        endings: Endings,
        server: Server | None,
        given: Given | None = None,
        server_errors: int | None = None,
    ) -> Recording:
        course.begin()
        recording = self._settler.settle(
            course.outgoing,
            [(one, outcome, facts_of(one, outcome, given, server)) for one, outcome in endings],
            self._clock.now_ms(),
            course.one_less,
            server=server.id if server is not None else None,
            server_errors=server_errors,
            passed_on=given is not None and given.passed_on,
            direct=server is not None and server.kind is Kind.DIRECT,
        )
        for addressee, _ in endings:
            del course.left[addressee.delivery]
        if due_at := recording.next_due_at:
            course.next_due_at = min(course.next_due_at or due_at, due_at)
        return recording


def _portions(addressees: list[Addressee], most: int) -> list[list[Addressee]]:
    if len(addressees) <= most:
        return [addressees]
    return [addressees[start : start + most] for start in range(0, len(addressees), most)]
