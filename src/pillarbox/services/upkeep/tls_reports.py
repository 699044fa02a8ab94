"""reports on TLS: one a day to each domain that wants them, by mail or over https (RFC 8460)

What a day's sessions came to is counted by all nodes, and reported on by one when the day is over.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.handover.accept import Door
from pillarbox.handover.duty import go_rounds
from pillarbox.handover.receipt import Content
from pillarbox.message.facts import Origin
from pillarbox.message.tls_report_mail import ReportMail, write_report_mail
from pillarbox.observe.log import logger
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.envelope import Envelope, Notify, Recipient
from pillarbox.policy.lookup import Answer, Status
from pillarbox.policy.server import Kind
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.policy.tls_report import (
    DAY_MS,
    Report,
    day_of,
    mailbox_of,
    read_targets,
    record_name,
    write_report,
)
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.clock import Clock, from_ms
from pillarbox.terms.errors import PillarboxError, Trouble
from pillarbox.terms.setting import InvalidSetting, setting

_log = logger("upkeep")

_PORTION: Final = 100
_ROUND_SECONDS: Final = 300.0
_SPREAD_MS: Final = 4 * 3_600_000
"""Within so long after midnight: a domain that everybody writes to gets them one after the other."""
_TRIED_MS: Final = DAY_MS
"""How long a report is tried before it is given up (§5.5)."""
_KEPT_MS: Final = 14 * DAY_MS

Post = Callable[[str, bytes], Awaitable[bool]]
"""Gives a compressed report to an https address; whether it was taken."""


@dataclass(frozen=True, slots=True)
class TlsReportConfig:
    """Reports on TLS to the domains that ask for them."""

    send: bool = setting(True, "Send a report each day to every domain that asks for it.")
    contact: str = setting(
        "", "Address that reports come from; empty: postmaster at this machine's host name."
    )

    def __post_init__(self) -> None:
        if self.contact:
            try:
                parse_address(self.contact)
            except InvalidAddress as wrong:
                raise InvalidSetting(f"contact is an address: {wrong.sentence}") from wrong


class Resolves(Protocol):
    """What is asked of a resolver."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """The records of a type that a name has."""
        ...


class TlsReports:
    """Goes round until it is stopped; sends what is due."""

    def __init__(
        self,
        storage: Storage,
        door: Door,
        resolver: Resolves,
        post: Post,
        clock: Clock,
        config: TlsReportConfig,
        *,
        hostname: str,
        on_duty: bool = True,
    ) -> None:
        """A node that is not `on_duty` leaves it to the others."""
        self._storage = storage
        self._door = door
        self._resolver = resolver
        self._post = post
        self._clock = clock
        self._send = config.send
        self._contact = config.contact or f"postmaster@{hostname}"
        self._hostname = hostname
        self._on_duty = on_duty
        self._stop = asyncio.Event()
        self._trimmed_at = 0

    def stop(self) -> None:
        """After the report that is being sent."""
        self._stop.set()

    async def run(self) -> None:
        """Round after round, until `stop`."""
        await go_rounds(self.go_round, self._stop, "tls-reports", _ROUND_SECONDS)

    async def go_round(self) -> int:
        """Send everything that is due; gives how many reports left."""
        if not (self._on_duty and await self._storage.nodes.has_duty("tls-reports")):
            return 0
        now_ms = self._clock.now_ms()
        today_ms = day_of(now_ms)
        if self._trimmed_at != today_ms:
            await self._storage.tls.trim(today_ms - _KEPT_MS, now_ms)
            self._trimmed_at = today_ms
        sent = 0
        if self._send:
            for day_ms, domain in await self._storage.tls.unreported(today_ms, _PORTION):
                if self._stop.is_set():
                    break
                if now_ms >= day_ms + DAY_MS + zlib.crc32(domain.encode()) % _SPREAD_MS:
                    sent += await self._report(day_ms, domain, now_ms)
        return sent

    async def _report(self, day_ms: int, domain: str, now_ms: int) -> bool:
        """One report; False where it did not leave, now or at all."""
        answer = await self._resolver.lookup(record_name(domain), "TXT")
        targets = read_targets(answer.texts)
        sent = False
        if targets:
            report = write_report(
                domain,
                day_ms,
                await self._storage.tls.counted(day_ms, domain),
                organization=self._hostname,
                contact=self._contact,
            )
            for target in targets:
                sent = await self._to(target, report) or sent
        given_up = now_ms >= day_ms + DAY_MS + _SPREAD_MS + _TRIED_MS
        # Who does not answer may want it; who answers that he wants none has said so.
        unwanted = not targets and answer.status is not Status.TROUBLE
        if sent or given_up or unwanted:
            await self._storage.tls.set_reported(day_ms, domain)
            if not sent:
                _log.warning("tls_report.dropped", domain=domain, wanted=bool(targets))
        return sent

    async def _to(self, target: str, report: Report) -> bool:
        mailbox = mailbox_of(target)
        try:
            if mailbox is not None:
                return await self._by_mail(mailbox, report)
            return await self._post(target, report.packed)
        except StorageTrouble:
            raise
        except (Trouble, PillarboxError) as error:
            _log.warning("tls_report.not_sent", domain=report.domain, reason=str(error))
            return False

    async def _by_mail(self, mailbox: str, report: Report) -> bool:
        app = await self._app()
        if app is None:
            _log.warning("tls_report.no_way", domain=report.domain, words="no app is live")
            return False
        address = parse_address(mailbox).text
        account = await self._storage.directory.account(app.account)
        content = write_report_mail(
            ReportMail(
                identity=report.identity,
                at=self._clock.now_ms(),
                author=self._contact,
                to=address,
                domain=report.domain,
                submitter=self._hostname,
                day=from_ms(report.start_ms).strftime("%Y-%m-%d"),
                file_name=report.file_name,
                packed=report.packed,
            )
        )
        await self._door.accept(
            Envelope("", (Recipient(address, frozenset({Notify.NEVER})),)),
            Content(content),
            Submitter(SubmitterKind.SYSTEM, app.id, "pillarbox", account, app, app.mode),
            Origin("system"),
        )
        return True

    async def _app(self) -> App | None:
        """Through which it leaves: one that delivers directly, as the mail did that it is about."""
        live = [
            app
            for app in await self._storage.directory.apps()
            if app.mode is Mode.LIVE and app.active
        ]
        for app in live:
            servers = await self._storage.directory.servers(app.id)
            if any(server.kind is Kind.DIRECT and server.status == "A" for server in servers):
                return app
        return _first(live)


def _first(apps: Sequence[App]) -> App | None:
    return apps[0] if apps else None
