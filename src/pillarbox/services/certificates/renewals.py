"""certificates asked for before they are missing, by one node, and shown by all

Nothing is asked of an authority unless a person named the host. Which of the nodes asks is a duty;
what it obtained lies in storage, sealed, and every node shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from pillarbox.net.acme import Issued, Publish, certifiable, new_account_key
from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.observe.log import logger
from pillarbox.policy.certificate import Certificate, renewal_at, retry_at
from pillarbox.storage.interface.certificates import (
    AcmeAccount,
    CertificatePair,
    CertificateStore,
)
from pillarbox.storage.interface.errors import Conflict, StorageTrouble
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock, format_instant
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret

_log = logger("certificates")

_ROUND_SECONDS: Final = 60.0
_ANSWERED_MS: Final = 3_600_000
"""How long an answer is kept that nobody took away."""


class TermsNotAgreed(PillarboxError):
    """Nobody has agreed to the terms of the authority."""

    code = "wrong_state"


class Authority(Protocol):
    """Whoever makes certificates. Failures are `AcmeFailed`."""

    @property
    def directory(self) -> str:
        """Where it is asked."""
        ...

    async def open_account(self, key: Secret) -> str:
        """The URL of our account with this key."""
        ...

    async def obtain(self, host: str, account: str, key: Secret, publish: Publish) -> Issued:
        """A certificate for a host, proved by what `publish` is given."""
        ...


class Renewals:
    """Goes round until it is stopped: asks for what is due, and shows what there is."""

    def __init__(
        self,
        storage: Storage,
        authority: Authority,
        show: Callable[[Sequence[CertificatePair]], object],
        clock: Clock,
        *,
        hosts: Sequence[str] = (),
        agreed: bool = False,
        on_duty: bool = True,
    ) -> None:
        """`hosts` are those of the settings; `agreed` says that a person agreed to the terms.
        `show` is given all that were obtained. A node that is not `on_duty` only shows them.
        """
        self._storage = storage
        self._store: CertificateStore = storage.certificates
        self._authority = authority
        self._show = show
        self._clock = clock
        self._hosts = tuple(map(certifiable, hosts))
        self._agreed = agreed
        self._on_duty = on_duty
        self._stop = asyncio.Event()
        self._look = asyncio.Event()
        self._store.listen(self._look.set)

    async def request(self, host: str) -> Certificate:
        """Have a certificate asked for, also where there is one, by whichever node has that duty.

        Raises `TermsNotAgreed`, `InvalidSetting` for what is no such name, `Conflict`.
        """
        name = certifiable(host)
        if not self._agreed:
            raise TermsNotAgreed(
                "Nobody has agreed to the terms of the authority, so nothing is asked of it.",
                fix=f"Read those of {self._authority.directory}, then set acme.agree_terms = true "
                "and start anew.",
            )
        return await self._store.want(name, self._clock.now_ms())

    async def show(self) -> None:
        """Show all that were obtained. Raises `StorageTrouble`."""
        self._show(await self._store.pairs())

    def stop(self) -> None:
        """At once; a certificate that is being asked for is asked for again at the next start."""
        self._stop.set()
        self._look.set()

    async def run(self) -> None:
        """Round after round, until `stop`."""
        while not self._stop.is_set():
            self._look.clear()
            round_ = asyncio.ensure_future(self._safe_round())
            stopped = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((round_, stopped), return_when=asyncio.FIRST_COMPLETED)
            for task in (round_, stopped):
                task.cancel()
            await asyncio.gather(round_, stopped, return_exceptions=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._look.wait()

    async def go_round(self) -> int:
        """Ask for all that are due; gives how many were obtained."""
        await self.show()
        if not (self._on_duty and self._agreed):
            return 0
        if not await self._storage.nodes.has_duty("certificates"):
            return 0
        known = await self._store.certificates()
        for host in set(self._hosts) - {each.host for each in known}:
            try:
                known.append(await self._store.want(host, self._clock.now_ms()))
            except Conflict as conflict:  # the others are due all the same
                _log.error("certificate.no_room", host=host, words=conflict.sentence)
        obtained = 0
        for each in known:
            if each.due_at <= self._clock.now_ms():
                obtained += await self._ask(each)
        if obtained:
            await self.show()
        return obtained

    async def _ask(self, certificate: Certificate) -> bool:
        host, now_ms = certificate.host, self._clock.now_ms()
        try:
            issued = await self._obtained(host)
        except AcmeFailed as failed:
            await self._failed(certificate, failed.words, failed.pause_seconds)
            return False
        except StorageTrouble:
            raise
        except Exception:
            # Whatever it was, an authority must not be asked every minute because of it.
            _log.exception("certificate.broke", host=host)
            await self._failed(certificate, "something unexpected happened; it is in the log", 0.0)
            return False
        due_at = renewal_at(issued.since_at, issued.until_at)
        kept = Certificate(host, issued.since_at, issued.until_at, due_at, now_ms)
        if await self._store.keep(kept, CertificatePair(host, issued.chain, issued.key)):
            _log.info("certificate.obtained", host=host, until=format_instant(issued.until_at))
        return True

    async def _failed(self, certificate: Certificate, words: str, pause_seconds: float) -> None:
        now_ms, failures = self._clock.now_ms(), certificate.failures + 1
        due_at = retry_at(failures, now_ms, pause_seconds)
        await self._store.note_failure(
            replace(certificate, due_at=due_at, tried_at=now_ms, failures=failures, words=words)
        )
        _log.warning(
            "certificate.not_obtained", host=certificate.host, words=words, failures=failures,
            next_try=format_instant(due_at),
        )  # fmt: skip

    async def _obtained(self, host: str) -> Issued:
        tokens: list[str] = []

        async def publish(token: str, answer: str) -> None:
            tokens.append(token)
            until_at = self._clock.now_ms() + _ANSWERED_MS
            await self._store.put_answer(token, answer, until_at)

        account = await self._account()
        try:
            try:
                return await self._authority.obtain(host, account.url, account.key, publish)
            except AcmeFailed as failed:
                if not failed.unknown_account:
                    raise
            # It was closed, or the authority began anew: an account is made as on the first day.
            account = await self._account(anew=True)
            return await self._authority.obtain(host, account.url, account.key, publish)
        finally:
            for token in tokens:
                await self._store.drop_answer(token, self._clock.now_ms())

    async def _account(self, *, anew: bool = False) -> AcmeAccount:
        directory = self._authority.directory
        known = await self._store.account(directory)
        if known is not None and not anew:
            return known
        key = new_account_key()
        account = AcmeAccount(await self._authority.open_account(key), key)
        await self._store.keep_account(directory, account)
        return account

    async def _safe_round(self) -> None:
        try:
            await self.go_round()
        except StorageTrouble as trouble:
            _log.warning("certificates.waiting", reason=str(trouble))
        except Exception:
            _log.exception("certificates.broke")
