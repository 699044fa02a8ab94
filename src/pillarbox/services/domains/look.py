"""a look at a domain's records: every name server asked, a verdict on each record, what follows

The proof makes a domain its account's own; a key's record, found at every server, lets it sign.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from msgspec import Struct

from pillarbox.net.authority import Authorities
from pillarbox.net.resolver import Resolver
from pillarbox.policy.dkim_key import DkimKey, KeyState, activated, ripe
from pillarbox.policy.dns_hosts import Zone
from pillarbox.policy.domain_check import Evidence, judge, wrong_places
from pillarbox.policy.domain_findings import (
    Checked,
    Finding,
    RecordKind,
    Verdict,
    Wanted,
)
from pillarbox.policy.domain_records import ServiceNames, wanted_records
from pillarbox.policy.events import DomainFacts
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.policy.spf import MOST_LOOKUPS, asking_terms, spf_records
from pillarbox.services.domains.tracking_certificates import AWAITED, MISSING, TrackingCertificates
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock
from pillarbox.terms.setting import InvalidSetting, setting

_LOOKS: Final = 4
"""Domains that are looked at at the same time, whoever asks."""
_AT_ONCE: Final = 6
"""Records that are looked at at the same time."""
_ZONE_SECONDS: Final = 2.0
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_SPF_QUESTIONS: Final = 3 * MOST_LOOKUPS
"""Behind so many it is not counted any further."""


@dataclass(frozen=True, slots=True)
class DomainsConfig:
    """Sending domains: what their records point to, and how their keys change."""

    spf: str = setting(
        "",
        "The mechanism that SPF records of sending domains need, such as include:spf.example.com "
        "or ip4:192.0.2.7; empty: a: and the host name of this service.",
    )
    publish_hours: int = setting(
        24, "Hours for which a new key's record must have been found before it replaces another."
    )

    def __post_init__(self) -> None:
        if self.publish_hours < 0:
            raise InvalidSetting("publish_hours is counted from 0")
        if any(c.isspace() for c in self.spf):
            raise InvalidSetting("spf is one mechanism, without blanks and without v=spf1")


@dataclass(frozen=True, slots=True)
class Looked:
    """A domain as it is behind a look."""

    domain: SendingDomain
    keys: tuple[DkimKey, ...]
    checked: Checked


class DomainLook:
    """Looks when it is told to, by a person or by the clock."""

    def __init__(
        self,
        storage: Storage,
        authorities: Authorities,
        resolver: Resolver,
        clock: Clock,
        service: ServiceNames,
        config: DomainsConfig,
        certificates: TrackingCertificates | None = None,
    ) -> None:
        """`service` is what records point to. Without `certificates` somebody else sees to those of
        tracking hosts.
        """
        self._domains = storage.domains
        self._authorities = authorities
        self._resolver = resolver
        self._clock = clock
        self.certificates = certificates
        self.service = service
        self._turns = asyncio.Semaphore(_LOOKS)
        self._publish_ms = config.publish_hours * _HOUR_MS

    async def look(self, domain: SendingDomain) -> Looked:
        """Ask, judge, and keep what was found. Raises `NotFound` where the domain is gone."""
        async with self._turns:
            # Whatever is changed from here on is due again, and this look leaves that as it is.
            await self._domains.look_at(domain.id, self._clock.now_ms() + _HOUR_MS)
            before = await self._domains.checked(domain.id)
            findings = await self._ask(domain, before)
        # What people changed while the servers were asked counts.
        domain = await self._domains.domain(domain.id)
        keys = await self._domains.keys(domain.id)
        now_ms = self._clock.now_ms()
        events: list[tuple[str, Struct]] = []
        domain = await self._proved(domain, findings, now_ms, events)
        domain = await self._tracking(domain, findings)
        keys = await self._aged(domain, keys, findings, now_ms, events)
        checked = Checked(now_ms, tuple(findings))
        events += _news(domain, before, checked)
        pause = _DAY_MS if checked.ready and not _waits(keys) else _HOUR_MS
        if any(one.words.startswith(MISSING) for one in findings):
            pause = _HOUR_MS
        if any(one.words == AWAITED for one in findings):
            pause = _MINUTE_MS
        await self._domains.save_checked(domain, checked, now_ms + pause, events)
        return Looked(domain, tuple(keys), checked)

    async def forget_host(self, host: str) -> None:
        """No domain names this tracking host any more."""
        if host and self.certificates is not None:
            await self.certificates.forget(host)

    async def zone(self, name: str) -> Zone | None:
        """The zone that a name lies in; None where that cannot be told in a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ZONE_SECONDS):
                return await self._authorities.zone(name)
        return None

    async def _ask(self, domain: SendingDomain, before: Checked | None) -> list[Finding]:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def find(wanted: Wanted) -> Finding:
            async with turns:
                return await self._find(wanted, domain, before)

        keys = await self._domains.keys(domain.id)
        wanted = wanted_records(domain, keys, self.service)
        return list(await asyncio.gather(*map(find, wanted)))

    # --- what follows -------------------------------------------------------------------------

    async def _proved(
        self,
        domain: SendingDomain,
        findings: list[Finding],
        now_ms: int,
        events: list[tuple[str, Struct]],
    ) -> SendingDomain:
        """The domain, proved where it was not and its record is at every name server."""
        for place, finding in enumerate(findings):
            if finding.wanted.kind is not RecordKind.PROOF or finding.verdict is not Verdict.OK:
                continue
            if domain.proved_at:
                return domain
            proved = replace(domain, proved_at=now_ms)
            try:
                await self._domains.save_domain(proved)
            except Conflict:
                words = (
                    "Found, but another account has proved the domain before. It has to be removed "
                    "there first."
                )
                findings[place] = replace(finding, verdict=Verdict.WRONG, words=words)
                return domain
            events.append(("domain.proved", _facts(proved)))
            return proved
        return domain

    async def _tracking(self, domain: SendingDomain, findings: list[Finding]) -> SendingDomain:
        """The domain, with whether its tracking host leads here, and can be shown to readers."""
        for place, finding in enumerate(findings):
            if finding.wanted.kind is not RecordKind.TRACKING:
                continue
            if finding.wanted.name != domain.tracking_host:
                continue
            found = finding.verdict is Verdict.OK
            lost = finding.verdict in (Verdict.MISSING, Verdict.WRONG)
            if found and not domain.tracking_found and self.certificates is not None:
                if not domain.proved_at:
                    continue  # nothing is asked of an authority for whoever has proved nothing
                if words := await self.certificates.missing(domain):
                    findings[place] = replace(finding, words=words)
                    continue
            if (found or lost) and found != domain.tracking_found:
                domain = await self._domains.domain(domain.id)
                if domain.tracking_host == finding.wanted.name:  # nobody has changed it meanwhile
                    domain = replace(domain, tracking_found=found)
                    await self._domains.save_domain(domain)
        return domain

    async def _aged(
        self,
        domain: SendingDomain,
        keys: list[DkimKey],
        findings: Sequence[Finding],
        now_ms: int,
        events: list[tuple[str, Struct]],
    ) -> list[DkimKey]:
        """The keys, with what their records say of them; those whose time has come are active."""
        verdicts = {one.wanted.selector: one.verdict for one in findings if one.wanted.selector}
        after = {key.selector: _found(key, verdicts.get(key.selector), now_ms) for key in keys}
        for selector in ripe(after.values(), now_ms, self._publish_ms) if domain.proved_at else ():
            for key in activated(after.values(), selector, now_ms):
                after[key.selector] = key
                event = "activated" if key.state is KeyState.ACTIVE else "retired"
                facts = replace_selector(_facts(domain), key.selector)
                events.append((f"domain.key_{event}", facts))
        changed = [after[key.selector] for key in keys if after[key.selector] != key]
        if changed:
            with suppress(NotFound):  # removed or revoked in this moment
                await self._domains.save_keys(domain.id, changed)
        return list(after.values())

    # --- asking -------------------------------------------------------------------------------

    async def _find(self, wanted: Wanted, domain: SendingDomain, before: Checked | None) -> Finding:
        seen = await self._authorities.ask(wanted.name, wanted.type)
        answer = await self._resolver.lookup(wanted.name, wanted.type, anew=True)
        evidence = Evidence(
            seen, answer, mechanism=self.service.spf_mechanism,
            remembered_seconds=_remembered(before, wanted),
        )  # fmt: skip
        if wanted.kind is RecordKind.SPF:
            for record in spf_records(answer.texts)[:1]:
                evidence = replace(evidence, lookups=await self._spf_lookups(record, wanted.name))
        finding = judge(wanted, evidence)
        if finding.verdict in (Verdict.OK, Verdict.SPREADING, Verdict.UNKNOWN):
            return finding
        elsewhere = {}
        for place in wrong_places(wanted, domain.name):
            texts = (await self._resolver.lookup(place, wanted.type)).texts
            if texts:
                elsewhere[place] = texts
        addresses: tuple[str, ...] = ()
        if wanted.type == "CNAME":
            addresses = (await self._resolver.lookup(wanted.name, "A")).texts
        return judge(wanted, replace(evidence, elsewhere=elsewhere, addresses=addresses))

    async def _spf_lookups(self, record: str, name: str) -> int:
        """How often receivers ask because of a record, and of those it includes."""
        count = 0
        waiting = [record]
        included = {name}
        while waiting and count < _SPF_QUESTIONS:
            for term, target in asking_terms(waiting.pop()):
                count += 1
                if term not in ("include", "redirect") or target in included or "%" in target:
                    continue
                included.add(target)
                if count < _SPF_QUESTIONS:
                    answer = await self._resolver.lookup(target, "TXT")
                    waiting += spf_records(answer.texts)[:1]
        return count


def replace_selector(facts: DomainFacts, selector: str) -> DomainFacts:
    """The same about one of its keys."""
    return DomainFacts(facts.domain, facts.account, facts.record, selector, facts.words, facts.by)


def _found(key: DkimKey, verdict: Verdict | None, now_ms: int) -> DkimKey:
    if verdict is Verdict.OK:
        return key if key.found_at else replace(key, found_at=now_ms)
    if verdict in (Verdict.MISSING, Verdict.WRONG):
        return replace(key, found_at=0)
    return key


def _waits(keys: Sequence[DkimKey]) -> bool:
    return any(key.state is KeyState.PENDING for key in keys)


def _facts(domain: SendingDomain, finding: Finding | None = None) -> DomainFacts:
    if finding is None:
        return DomainFacts(domain.name, domain.account, by="pillarbox")
    wanted = finding.wanted
    return DomainFacts(
        domain.name, domain.account, f"{wanted.kind} {wanted.name}", wanted.selector,
        finding.words, "pillarbox",
    )  # fmt: skip


def _news(
    domain: SendingDomain, before: Checked | None, checked: Checked
) -> list[tuple[str, Struct]]:
    """Records that have come, and records that were right and are not any more.

    What nobody could say, and what is spreading, is no news: it was as it was.
    """
    was = {_place(one.wanted): one.verdict for one in before.findings} if before else {}
    events: list[tuple[str, Struct]] = []
    for one in checked.findings:
        earlier = was.get(_place(one.wanted))
        if one.verdict is Verdict.OK and earlier is not Verdict.OK:
            events.append(("domain.record_found", _facts(domain, one)))
        elif one.verdict in (Verdict.MISSING, Verdict.WRONG) and earlier is Verdict.OK:
            events.append(("domain.record_lost", _facts(domain, one)))
    return events


def _place(wanted: Wanted) -> tuple[str, str, str]:
    return wanted.kind, wanted.name, wanted.type


def _remembered(before: Checked | None, wanted: Wanted) -> int:
    """The longest that any name server allowed what it had before to be remembered."""
    for one in before.findings if before is not None else ():
        if _place(one.wanted) == _place(wanted) and one.verdict is not Verdict.OK:
            return max((seen.ttl_seconds for seen in one.seen), default=0)
    return 0
