"""the direct way: from the domains of recipients to their MX hosts, one after the other

The address a host is connected to is the one that was looked up and checked here: there is no second
look-up that a hostile domain could answer otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from msgspec.structs import replace as changed

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.policy import mx
from pillarbox.policy.hosts import HostWalk
from pillarbox.policy.lookup import Status
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import Blame, Outcome, from_caller_told
from pillarbox.policy.server import Encryption, Server
from pillarbox.policy.site import Site, pains, site_of
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.policy.tls_policy import Wish, plan, refused
from pillarbox.services.delivery.atlas import Atlas, Located
from pillarbox.services.delivery.mx_hosts import MxHosts
from pillarbox.services.delivery.sites import Sites, registrable
from pillarbox.services.delivery.slots import Slots
from pillarbox.terms.clock import Clock
from pillarbox.terms.hostname import is_domain
from pillarbox.terms.ids import DeliveryId

_PATIENCE_SECONDS: Final = 2.0
"""How long mail waits for its turn at a site in a lane that has mail for others too."""


class Plans(Protocol):
    """What decides about the TLS of a host."""

    async def plan_for(self, domain: str, host: str, *, mx_secure: bool, wish: Wish) -> TlsPlan:
        """The plan for a host of a domain, whose name was found securely or not."""
        ...


class Opportunistic:
    """Encrypted where the host can, and by whoever it is."""

    async def plan_for(self, domain: str, host: str, *, mx_secure: bool, wish: Wish) -> TlsPlan:
        """The same for every host."""
        return plan(host)


@dataclass(frozen=True, slots=True)
class Errand:
    """Mail that takes the direct way, and the hands that carry it."""

    way: Server
    outgoing: Outgoing
    walk: HostWalk[DeliveryId]
    left: Mapping[DeliveryId, Addressee]
    """Those not settled yet; it shrinks while they are."""
    bound: bool
    """Whether all mail of its lane goes to the same domain."""
    slots: Slots
    """Room for the connections of this way out."""
    give: Callable[[Server, list[Addressee]], Awaitable[None]]
    """Offers the message to a host; what becomes of whom is recorded in the walk."""
    part: Callable[[Server, int], None]
    """Says goodbye to a host where more than so many connections are open."""
    end: Callable[[Server, Outcome, Sequence[Addressee]], None]
    """Settles some."""
    too_late: Callable[[], bool]
    seconds_left: Callable[[], float | None]
    """Until it is too late; None where it never is."""

    def still(self, some: Sequence[Addressee]) -> list[Addressee]:
        """Those of them who are not settled."""
        return [one for one in some if one.delivery in self.left]

    def patience_seconds(self) -> float | None:
        """How long it may wait for its turn at a site; None: as long as that takes."""
        left = self.seconds_left()
        if self.bound:
            return left
        return _PATIENCE_SECONDS if left is None else min(_PATIENCE_SECONDS, left)


@dataclass(slots=True)
class _Visit:
    """What one attempt has learnt of a domain so far."""

    domain: str
    until: float
    """Monotonic seconds after which no further host is begun with."""
    missing: list[str] = field(default_factory=list)
    others: int = 0
    """Hosts that are there."""


class Straight:
    """Takes mail to the recipients' own hosts."""

    def __init__(
        self,
        config: mx.DirectConfig,
        atlas: Atlas,
        sites: Sites,
        hosts: MxHosts,
        clock: Clock,
        plans: Plans | None = None,
    ) -> None:
        """`plans` is opportunistic where none is given."""
        self._config = config
        self._atlas = atlas
        self._sites = sites
        self._clock = clock
        self._plans = plans or Opportunistic()
        self._slots = Slots(config.connections)
        self.hosts = hosts

    def close(self) -> None:
        """This node stops."""
        self._sites.close()

    async def along(self, errand: Errand, addressees: Sequence[Addressee]) -> None:
        """Some of those who are open, domain by domain. Who is still open afterwards may take the
        next way out: nobody there has spoken about him.
        """
        until = self._clock.monotonic() + self._config.attempt_seconds
        domains: dict[str, list[Addressee]] = {}
        for addressee in addressees:
            domain = addressee.address.rpartition("@")[2].rstrip(".").lower()
            domains.setdefault(domain, []).append(addressee)
        for domain, some in domains.items():
            if errand.too_late():
                return
            await self._to(_Visit(domain, until), errand, some)

    async def _to(self, visit: _Visit, errand: Errand, some: list[Addressee]) -> None:
        domain = visit.domain
        if (literal := mx.literal_address(domain)) != "":
            found: mx.Exchangers | Outcome = mx.Exchangers(((literal,),))
        elif not is_domain(domain):
            errand.end(errand.way, mx.misnamed(domain), some)
            return
        else:
            answer = await self._atlas.exchangers(domain)
            if answer.status is Status.NO_NAME:
                _confirm(errand, some, lambda *, tried_before: mx.nonexistent(
                    domain, tried_before=tried_before))  # fmt: skip
                return
            seed, most = errand.outgoing.message, self._config.max_hosts
            found = mx.exchangers_of(domain, answer, seed, self._atlas.own_names, most)
        if isinstance(found, Outcome):
            _note(errand, errand.way, found, some)
            return
        name = min(found.groups[0])
        site = await self._sites.enter(
            name if literal else site_of(name, registrable),
            errand.patience_seconds(),
        )
        if site is None:
            _note(errand, errand.way, mx.site_full(site_of(name, registrable)), some)
            return
        try:
            await self._at_hosts(visit, found, site, errand, some)
        finally:
            self._sites.leave(site)
        self._conclude(visit, found, errand, errand.still(some))

    async def _at_hosts(
        self,
        visit: _Visit,
        found: mx.Exchangers,
        site: Site,
        errand: Errand,
        some: list[Addressee],
    ) -> None:
        for group in found.groups:
            located = await self._located(group, errand.way.local_address)
            if any(one.own for one in located):
                # RFC 5321 §5.1: neither we ourselves nor anybody of equal or lower preference.
                if not visit.others and not visit.missing:
                    errand.end(errand.way, mx.loops(visit.domain), errand.still(some))
                return
            for one in located:
                still = errand.still(some)
                if not still or errand.too_late():
                    return
                if one.missing:
                    visit.missing.append(one.host)
                    continue
                visit.others += 1
                if one.outcome is not None:
                    _note(errand, errand.way, one.outcome, still)
                    continue
                if self._clock.monotonic() >= visit.until:
                    _note(errand, errand.way, mx.no_time_left(visit.domain), still)
                    return
                await self._at(one, visit.domain, found.secure, site, errand, still)

    async def _located(self, group: Sequence[str], local_address: str) -> list[Located]:
        """Where hosts of equal preference are."""
        if len(group) == 1:
            return [await self._atlas.locate(group[0], local_address)]
        return list(
            await asyncio.gather(*(self._atlas.locate(host, local_address) for host in group))
        )

    async def _at(
        self,
        one: Located,
        domain: str,
        secure: bool,
        site: Site,
        errand: Errand,
        some: list[Addressee],
    ) -> None:
        """One host; and the same again in clear, where TLS fails and nothing demands it."""
        verdict: TlsPlan | None = await self._plans.plan_for(
            domain, one.host, mx_secure=secure, wish=Wish(errand.outgoing.facts.tls)
        )
        while verdict is not None:
            host = host_server(one, errand.way, verdict, self._config.port)
            if verdict.refusal:
                _note(errand, host, refused(verdict), some)
                return
            if not self.hosts.may_use(one.host):
                _note(errand, host, mx.left_alone(), some)
                return
            if not await self._give(host, errand, some):
                errand.end(host, from_caller_told(), some)
                return
            last = [errand.walk.last(addressee.delivery) for addressee in some]
            outcomes = [outcome for outcome in last if outcome is not None]
            self._tell_site(site, outcomes)
            some = errand.still(some)
            for addressee, outcome in zip(some, _last(errand, some), strict=True):
                if outcome is not None and mx.waits_here(outcome):
                    _wait(errand, host, outcome, addressee)
            some = errand.still(some)
            failed = any(outcome.stage is Stage.STARTTLS for outcome in outcomes)
            verdict = verdict.otherwise if failed and some else None

    async def _give(self, host: Server, errand: Errand, some: list[Addressee]) -> bool:
        """Over one of the connections that there may be: of its own way out first, so that what
        waits there keeps no place among all. False where it is too late before there is one.
        """
        app, slots = errand.outgoing.app, errand.slots
        if not slots.take_now() and not await slots.take(app, errand.seconds_left()):
            return False
        try:
            if not self._slots.take_now() and not await self._slots.take(
                app, errand.seconds_left()
            ):
                return False
            try:
                await errand.give(host, some)
            finally:
                self._slots.give_back()
        finally:
            slots.give_back()
        errand.part(host, self._config.connections)
        return True

    def _tell_site(self, site: Site, outcomes: Sequence[Outcome]) -> None:
        painful = next((outcome for outcome in outcomes if pains(outcome)), None)
        if painful is not None:
            site.pained(painful, self._clock.monotonic())
        elif any(outcome.taken for outcome in outcomes):
            site.took()

    def _conclude(
        self, visit: _Visit, found: mx.Exchangers, errand: Errand, still: list[Addressee]
    ) -> None:
        """Who is left over: waits, where it is his own host that makes him wait."""
        if visit.missing and not visit.others:

            def missing(*, tried_before: bool) -> Outcome:
                if found.implicit:
                    return mx.nonexistent(visit.domain, tried_before=tried_before)
                return mx.unaddressed(visit.domain, visit.missing, tried_before=tried_before)

            _confirm(errand, still, missing)
            return
        for addressee, outcome in zip(still, _last(errand, still), strict=True):
            if outcome is not None and outcome.blame is Blame.RECIPIENT:
                _wait(errand, errand.way, outcome, addressee)


def host_server(one: Located, way: Server, verdict: TlsPlan, port: int) -> Server:
    """An MX host as the server it is for the moment."""
    return replace(
        way, name=one.host, host=one.host, port=port, addresses=one.addresses,
        encryption=Encryption.STARTTLS if verdict.tries_tls else Encryption.NONE,
        verify=verdict.verify, ca_file=verdict.ca_file, tls=verdict, auth=False, username="",
        password=None,
    )  # fmt: skip


def _last(errand: Errand, some: Sequence[Addressee]) -> list[Outcome | None]:
    return [errand.walk.last(addressee.delivery) for addressee in some]


def _note(errand: Errand, server: Server, outcome: Outcome, some: Sequence[Addressee]) -> None:
    """It holds for some; they go on to the next host or way unless it ends the matter."""
    if not outcome.next_host:
        errand.end(server, outcome, some)
        return
    errand.walk.record(server, outcome, [addressee.delivery for addressee in some])


def _wait(errand: Errand, server: Server, outcome: Outcome, addressee: Addressee) -> None:
    errand.end(server, changed(outcome, next_host=False, same_host=False), [addressee])


class _Judge(Protocol):
    def __call__(self, *, tried_before: bool) -> Outcome: ...


def _confirm(errand: Errand, some: Sequence[Addressee], judge: _Judge) -> None:
    for tried_before in (False, True):
        concerned = [one for one in some if (one.attempts > 0) is tried_before]
        if concerned:
            errand.end(errand.way, judge(tried_before=tried_before), concerned)
