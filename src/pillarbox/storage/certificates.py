"""certificates from an authority, over an engine; keys sealed"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pillarbox.policy.certificate import Certificate
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Row, Step
from pillarbox.storage.interface.certificates import MOST_HOSTS, AcmeAccount, CertificatePair
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.vault import Vault

_TOPIC: Final = "certificates"


class SqlCertificateStore:
    """See `storage.interface.certificates.CertificateStore` for what is promised."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._heard: list[Callable[[], None]] = []

    async def certificates(self) -> list[Certificate]:
        """By host."""
        return [_certificate(row) for row in await self._engine.read("certificate.all")]

    async def pairs(self) -> list[CertificatePair]:
        """Opened."""
        return [
            CertificatePair(
                as_text(row[0]),
                as_text(row[1]),
                self._vault.open_sealed(as_bytes(row[2]), _owner(as_text(row[0]))),
            )
            for row in await self._engine.read("certificate.pairs")
        ]

    async def want(self, host: str, now_ms: int) -> Certificate:
        """Raises `Conflict`."""
        results = await self._engine.change(Step("certificate.want", (host, now_ms, MOST_HOSTS)))
        if not results[0]:
            raise Conflict(
                f"There are certificates for {MOST_HOSTS} hosts, and no more are kept.",
                fix="Remove some: pillarbox certificate remove HOST",
            )
        self._changed()
        return _certificate(results[0][0])

    async def keep(self, certificate: Certificate, pair: CertificatePair) -> bool:
        """One row, where there is one."""
        sealed = self._vault.seal(pair.key, _owner(pair.host))
        results = await self._engine.change(
            Step("certificate.keep", (*_row(certificate), pair.chain, sealed))
        )
        self._changed()
        return bool(results[0])

    async def note_failure(self, certificate: Certificate) -> None:
        """All but the pair."""
        row = (
            certificate.host, certificate.due_at, certificate.tried_at, certificate.failures,
            certificate.words,
        )  # fmt: skip
        await self._engine.change(Step("certificate.failed", row))

    async def remove(self, host: str) -> None:
        """Raises `NotFound`."""
        if not (await self._engine.change(Step("certificate.delete", (host,))))[0]:
            raise NotFound(
                f"No certificate of {host} is asked for.",
                fix="List those that are: pillarbox certificate list",
            )
        self._changed()

    async def account(self, directory: str) -> AcmeAccount | None:
        """Opened."""
        for row in await self._engine.read("acme.account", directory):
            key = self._vault.open_sealed(as_bytes(row[1]), directory.encode())
            return AcmeAccount(as_text(row[0]), key)
        return None

    async def keep_account(self, directory: str, account: AcmeAccount) -> None:
        """One row, replaced."""
        sealed = self._vault.seal(account.key, directory.encode())
        await self._engine.change(Step("acme.keep_account", (directory, account.url, sealed)))

    async def put_answer(self, token: str, answer: str, until_at: int) -> None:
        """One row, replaced."""
        await self._engine.change(Step("acme.put_answer", (token, answer, until_at)))

    async def answer(self, token: str, now_ms: int) -> str | None:
        """One row."""
        rows = await self._engine.read("acme.answer", token, now_ms)
        return as_text(rows[0][0]) if rows else None

    async def drop_answer(self, token: str, now_ms: int) -> None:
        """One row, and old ones."""
        await self._engine.change(Step("acme.drop_answer", (token, now_ms)))

    def listen(self, heard: Callable[[], None]) -> None:
        """The engine tells of other nodes alone."""
        self._heard.append(heard)
        self._engine.listen(_TOPIC, heard)

    def _changed(self) -> None:
        for heard in self._heard:
            heard()
        self._engine.tell(_TOPIC)


def _owner(host: str) -> bytes:
    """To what a key belongs."""
    return b"certificate\0" + host.encode()


def _row(certificate: Certificate) -> Row:
    return (
        certificate.host, certificate.since_at, certificate.until_at, certificate.due_at,
        certificate.tried_at,
    )  # fmt: skip


def _certificate(row: Row) -> Certificate:
    host, since_at, until_at, due_at, tried_at, failures, words = row
    return Certificate(
        as_text(host), as_int(since_at), as_int(until_at), as_int(due_at), as_int(tried_at),
        as_int(failures), as_text(words),
    )  # fmt: skip
