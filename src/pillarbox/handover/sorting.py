"""sorting: which lane each recipient of new mail is born in

Most mail of an app has one lane, whatever its recipients. Where the app sends straight to its
recipients' hosts there is a lane for each of their domains, and a rule of the app gives mail a lane
of the way it names. Lanes have numbers that storage gives, so what is needed is learnt before a
message is taken; taking it asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pillarbox.policy.directory import App, RouteRule
from pillarbox.policy.envelope import Recipient
from pillarbox.policy.lanes import lane_for, lane_of_way
from pillarbox.policy.routing import Route, first_route, possible_rules, rule_for
from pillarbox.policy.server import Server
from pillarbox.storage.interface.acceptance import NewDelivery
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import LaneName, QueueStore
from pillarbox.terms.ids import ObjectId

_MOST_LANES: Final = 10_000
"""Numbers kept for an app; beyond them they are looked up anew."""


class Plan:
    """What holds for new mail of one app, as long as nobody changes anything."""

    __slots__ = ("app", "direct", "lane", "lanes", "version", "ways")

    def __init__(self, app: App, version: int, ways: dict[ObjectId, Server], route: Route) -> None:
        self.app = app
        self.version = version
        self.ways = ways
        """Ways that rules name."""
        self.direct = route is Route.DIRECT
        self.lane = 0
        """The one lane of all mail, 0 where it depends on sender or recipient."""
        self.lanes: dict[tuple[str, str], int] = {}

    def names(self, sender: str, recipients: Sequence[Recipient]) -> list[tuple[str, str]]:
        """Route and destination for each recipient."""
        return [self._name(sender, recipient.address) for recipient in recipients]

    def _name(self, sender: str, recipient: str) -> tuple[str, str]:
        app = self.app
        domain = _domain_of(recipient)
        rule = rule_for(app, sender, recipient) if app.routes else None
        return self._by(rule, domain)

    def _by(self, rule: RouteRule | None, domain: str) -> tuple[str, str]:
        way = self.ways.get(rule.server) if rule is not None else None
        if way is not None:
            return lane_of_way(way, domain)
        return lane_for(self.app, Route.DIRECT if self.direct else Route.SERVERS, domain)

    def possible(self, recipients: Sequence[Recipient]) -> set[tuple[str, str]]:
        """Every lane that mail for these may be born in, whoever its author is."""
        domains = {_domain_of(recipient.address) for recipient in recipients}
        if not self.direct and not self.ways:
            return {self._by(None, "")}
        return {self._by(rule, domain) for domain in domains for rule in self._rules(domain)}

    def _rules(self, domain: str) -> list[RouteRule | None]:
        return possible_rules(self.app, f"@{domain}") if self.ways else [None]


class Sorter:
    """Keeps a plan for each app, and makes it anew when the directory has changed."""

    def __init__(self, directory: DirectoryStore, queue: QueueStore) -> None:
        self._directory = directory
        self._queue = queue
        self._plans: dict[ObjectId, Plan] = {}

    def knows(self, app: ObjectId, recipients: Sequence[Recipient]) -> bool:
        """Whether `lanes` can be asked about them now."""
        plan = self._plans.get(app)
        if plan is None or plan.version != self._directory.version:
            return False
        return bool(plan.lane) or plan.lanes.keys() >= plan.possible(recipients)

    async def learn(self, app: App, recipients: Sequence[Recipient]) -> None:
        """Find out what `lanes` needs. Raises `StorageTrouble`."""
        while not self.knows(app.id, recipients):
            plan = self._plans.get(app.id)
            if plan is None or plan.version != self._directory.version:
                plan = await self._plan(app)
            elif len(plan.lanes) > _MOST_LANES:
                plan.lanes.clear()
            unknown = plan.possible(recipients) - plan.lanes.keys()
            numbers = await self._queue.lanes([LaneName(app.id, *name) for name in unknown])
            plan.lanes.update(((one.route, one.destination), n) for one, n in numbers.items())
            if not plan.direct and not plan.ways:
                (plan.lane,) = plan.lanes.values()
            self._plans[app.id] = plan

    def lanes(
        self, app: ObjectId, sender: str, recipients: Sequence[Recipient]
    ) -> int | Sequence[int]:
        """The lane of all of them, or one for each, in order. Only where it `knows` them."""
        plan = self._plans[app]
        if plan.lane:
            return plan.lane
        return [plan.lanes[name] for name in plan.names(sender, recipients)]

    async def _plan(self, app: App) -> Plan:
        version = self._directory.version
        # One that was removed meanwhile is taken as it was when the submitter was looked up.
        with suppress(NotFound):
            app = await self._directory.app(app.id)
        servers = await self._directory.servers(app.id)
        known = {server.id: server for server in servers}
        ways = {rule.server: known[rule.server] for rule in app.routes if rule.server in known}
        return Plan(app, version, ways, first_route(servers, app.strategy))


def by_lane(born: Sequence[NewDelivery]) -> list[Sequence[NewDelivery]]:
    """The recipients of one message, those of each lane together, in order."""
    found: dict[int, list[NewDelivery]] = {}
    for one in born:
        found.setdefault(one.lane, []).append(one)
    return list(found.values())


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]
