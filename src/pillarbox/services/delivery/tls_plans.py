"""what is known of the TLS of MX hosts: policies and records looked up, kept, and judged

Nothing here decides; that is `policy.tls_policy`. What is looked up is remembered by the resolver.
A policy holds for as long as it says, also where nothing can be fetched meanwhile: otherwise
whoever keeps us from fetching could have our mail in clear (RFC 8461 §10.2).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from pillarbox.net.mta_sts import NoStsPolicy
from pillarbox.observe.log import logger
from pillarbox.policy.lookup import Answer, Status
from pillarbox.policy.mta_sts import StsPolicy, policy_name, read_record
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.policy.tls_policy import MAY, TlsaState, TlsFacts, Wish, plan
from pillarbox.policy.tls_report import read_targets, record_name
from pillarbox.policy.tlsa import Tlsa
from pillarbox.services.delivery.tls_sessions import TlsSessions
from pillarbox.storage.interface.tls import KeptPolicy, TlsStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.errors import Trouble
from pillarbox.terms.hostname import is_domain
from pillarbox.terms.setting import InvalidSetting, setting

_log = logger("delivery")

_Kept = TypeVar("_Kept")

_MOST_DOMAINS: Final = 20_000
_AGAIN_MS: Final = 300_000
"""How long a policy that could not be fetched is left alone (RFC 8461 §3.3)."""
_READ_AGAIN_MS: Final = 60_000
"""How long a look into the store counts: other nodes fetch too, and may have what this one lacks."""
_MOST_HOSTS: Final = 20
"""Of one domain, for whoever looks."""
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class TlsPolicyConfig:
    """What is asked of the TLS of MX hosts beyond encryption by chance."""

    mta_sts: bool = setting(True, "Honour the MTA-STS policies of recipients' domains.")
    dane: bool = setting(
        True, "Honour TLSA records, where the resolver validates what it answers (DNSSEC)."
    )
    ca_file: str = setting(
        "",
        "PEM file with the authorities that MX hosts and hosts of MTA-STS policies are verified "
        "by; empty: those of this machine.",
    )
    policy_port: int = setting(443, "Port on which hosts of MTA-STS policies are asked.")

    def __post_init__(self) -> None:
        if not 0 < self.policy_port <= _MAX_PORT:
            raise InvalidSetting(f"policy_port lies between 1 and {_MAX_PORT}")


class Resolves(Protocol):
    """What is asked of a resolver."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """The records of a type that a name has."""
        ...


class TlsPlans:
    """Makes the plan for each host."""

    def __init__(
        self,
        config: TlsPolicyConfig,
        resolver: Resolves,
        store: TlsStore,
        fetch: Callable[[str], Awaitable[StsPolicy]],
        sessions: TlsSessions,
        clock: Clock,
        *,
        port: int = 25,
    ) -> None:
        """`fetch` gives the policy of a domain or raises `NoStsPolicy`; MX hosts listen on `port`."""
        self._config = config
        self._resolver = resolver
        self._store = store
        self._fetch = fetch
        self._sessions = sessions
        self._clock = clock
        self._port = port
        self._kept: OrderedDict[str, tuple[KeptPolicy | None, int]] = OrderedDict()
        """What the store holds, and when that was found out."""
        self._failed: OrderedDict[str, int] = OrderedDict()
        """Until when a policy is not asked for again."""
        self._fetching: dict[str, asyncio.Task[KeptPolicy | None]] = {}

    async def plan_for(self, domain: str, host: str, *, mx_secure: bool, wish: Wish) -> TlsPlan:
        """The plan for a host of a domain, whose name was found securely (DNSSEC) or not.

        Raises `StorageTrouble` where kept policies cannot be read.
        """
        verdict = await self._judged(domain, host, mx_secure=mx_secure, wish=wish)
        if verdict.refusal:
            self._sessions.refused(host, verdict)
        return verdict

    async def of_domain(self, domain: str) -> list[tuple[str, TlsPlan]]:
        """The plan for each MX host of a domain, in their order; nothing is counted.

        Raises `Trouble` where the hosts cannot be looked up.
        """
        answer = await self._resolver.lookup(domain, "MX")
        if answer.status is Status.TROUBLE:
            raise Trouble(f"the MX hosts of {domain} could not be looked up: {answer.words}")
        exchangers = sorted(answer.exchangers, key=lambda one: one.preference)[:_MOST_HOSTS]
        hosts = [one.host for one in exchangers if one.host]
        if answer.status is Status.NO_DATA:
            hosts = [domain]  # RFC 5321 §5.1: it is its own host
        return [
            (host, await self._judged(domain, host, mx_secure=answer.secure, wish=Wish.NOTHING))
            for host in hosts
        ]

    async def _judged(self, domain: str, host: str, *, mx_secure: bool, wish: Wish) -> TlsPlan:
        if wish is Wish.OPTIONAL:
            return MAY
        if not is_domain(domain):  # an address: it has no records, and nothing speaks for it
            return plan(host, TlsFacts(domain=domain, wish=wish))
        wants_report = await self._wants_report(domain)
        sts = await self._policy(domain, wants_report=wants_report)
        state, records, names = await self._records(domain, host, mx_secure=mx_secure)
        verdict = plan(
            host,
            TlsFacts(
                domain=domain,
                wish=wish,
                tlsa_state=state,
                tlsa=records,
                names=names,
                mx_secure=mx_secure,
                sts_mode="" if sts is None else sts.mode,
                sts_lists=sts is not None and sts.lists(host),
                sts_lines=() if sts is None else sts.lines,
                sts_mx=() if sts is None else sts.mx,
                wants_report=wants_report,
            ),
        )
        if verdict.verify and self._config.ca_file:
            return replace(verdict, ca_file=self._config.ca_file)
        return verdict

    async def close(self) -> None:
        """End what is being fetched."""
        fetching = list(self._fetching.values())
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)

    # --- reports ------------------------------------------------------------------------------

    async def _wants_report(self, domain: str) -> bool:
        answer = await self._resolver.lookup(record_name(domain), "TXT")
        return bool(read_targets(answer.texts))

    # --- MTA-STS ------------------------------------------------------------------------------

    async def _policy(self, domain: str, *, wants_report: bool) -> StsPolicy | None:
        """What holds now. That a record is gone does not end a policy (RFC 8461 §5.1)."""
        if not self._config.mta_sts:
            return None
        answer = await self._resolver.lookup(policy_name(domain), "TXT")
        identity = read_record(answer.texts)
        kept = await self._known(domain)
        if identity is not None and self._is_due(domain, kept, identity):
            kept = await self._fetched(domain, identity, wants_report=wants_report)
        return None if kept is None else kept.policy

    async def _known(self, domain: str) -> KeptPolicy | None:
        now_ms = self._clock.now_ms()
        known = self._kept.get(domain)
        if known is None or now_ms >= known[1] + _READ_AGAIN_MS:
            return await self._read(domain)
        self._kept.move_to_end(domain)
        return _in_force(known[0], now_ms)

    async def _read(self, domain: str) -> KeptPolicy | None:
        """What the store holds, whichever node has fetched it."""
        now_ms = self._clock.now_ms()
        before = self._kept.get(domain)
        kept = await self._store.policy(domain, now_ms)
        meanwhile = self._kept.get(domain)
        if meanwhile is not None and meanwhile is not before:
            return _in_force(meanwhile[0], now_ms)  # fetched while the store was read
        _remember(self._kept, domain, (kept, now_ms))
        return _in_force(kept, now_ms)

    def _is_due(self, domain: str, kept: KeptPolicy | None, identity: str) -> bool:
        """Whether to fetch: another id, or half of the time is over, so that no gap comes."""
        now_ms = self._clock.now_ms()
        if now_ms < self._failed.get(domain, 0):
            return False
        if kept is None or kept.identity != identity:
            return True
        return now_ms >= (kept.fetched_at + kept.expires_at) // 2

    async def _fetched(
        self, domain: str, identity: str, *, wants_report: bool
    ) -> KeptPolicy | None:
        task = self._fetching.get(domain)
        if task is None:
            task = asyncio.ensure_future(self._fetch_now(domain, identity, wants_report))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return await asyncio.shield(task)

    async def _fetch_now(self, domain: str, identity: str, wants_report: bool) -> KeptPolicy | None:
        try:
            policy = await self._fetch(domain)
        except NoStsPolicy as none:
            _remember(self._failed, domain, self._clock.now_ms() + _AGAIN_MS)
            _log.warning("sts.not_fetched", domain=domain, reason=none.sentence)
            if wants_report:
                self._sessions.not_fetched(domain, none.result)
            # Whoever keeps this node from fetching need not have kept the others.
            return await self._read(domain)
        kept = KeptPolicy(domain, identity, policy, self._clock.now_ms())
        await self._store.keep_policy(kept)
        self._failed.pop(domain, None)
        _remember(self._kept, domain, (kept, kept.fetched_at))
        return kept

    # --- DANE ---------------------------------------------------------------------------------

    async def _records(
        self, domain: str, host: str, *, mx_secure: bool
    ) -> tuple[TlsaState, tuple[Tlsa, ...], tuple[str, ...]]:
        """The TLSA records of a host, and the names a certificate under an authority may bear.

        They are asked for only where the addresses are signed: a zone that is not would answer with
        what nobody can check, and some name servers of such zones do not answer at all
        (RFC 7672 §2.2.2).
        """
        nothing = (TlsaState.ABSENT, (), ())
        if not (self._config.dane and mx_secure):
            return nothing
        for base in await self._bases(host):
            answer = await self._resolver.lookup(f"_{self._port}._tcp.{base}", "TLSA")
            if answer.status is Status.TROUBLE:
                return TlsaState.FAILED, (), ()
            if answer.secure and answer.associations:
                names = tuple(dict.fromkeys((base, host, domain)))
                return TlsaState.SECURE, answer.associations, names
        return nothing

    async def _bases(self, host: str) -> list[str]:
        """The names below which records may lie: where aliases lead to, then the host itself."""
        answers = [await self._resolver.lookup(host, kind) for kind in ("A", "AAAA")]
        found = [answer for answer in answers if answer.status is Status.FOUND]
        if found and all(answer.secure for answer in found):
            return list(dict.fromkeys((found[0].name or host, host)))
        if any(answer.name not in ("", host) for answer in found):
            alias = await self._resolver.lookup(host, "CNAME")
            if alias.secure and alias.status is Status.FOUND:
                return [host]
        return []


def _in_force(kept: KeptPolicy | None, now_ms: int) -> KeptPolicy | None:
    return kept if kept is not None and now_ms < kept.expires_at else None


def _remember(where: OrderedDict[str, _Kept], domain: str, thing: _Kept) -> None:
    where[domain] = thing
    where.move_to_end(domain)
    while len(where) > _MOST_DOMAINS:
        where.popitem(last=False)
