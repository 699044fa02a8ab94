"""certificates from an authority, and what is said to prove a host name; shared by all nodes"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.policy.certificate import Certificate
from pillarbox.terms.secret import Secret

MOST_HOSTS: Final = 1000
"""Certificates of one store: each is a context in the memory of every node."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate that was obtained, and its key, both as PEM."""

    host: str
    chain: str
    """The certificate, and those between it and its authority."""
    key: Secret


@dataclass(frozen=True, slots=True)
class AcmeAccount:
    """An account with an authority (RFC 8555 §7.1.2)."""

    url: str
    key: Secret
    """As PEM."""


class CertificateStore(Protocol):
    """Keys are sealed at rest. Every method raises `StorageTrouble` where the store does not answer."""

    async def certificates(self) -> list[Certificate]:
        """Of all hosts, by name."""
        ...

    async def pairs(self) -> list[CertificatePair]:
        """All that were obtained, by host."""
        ...

    async def want(self, host: str, now_ms: int) -> Certificate:
        """A certificate for this host is due now, whether there is one already or not.

        Raises `Conflict` where there are as many hosts as there may be.
        """
        ...

    async def keep(self, certificate: Certificate, pair: CertificatePair) -> bool:
        """What was obtained, in place of what was there; False where the host was removed."""
        ...

    async def note_failure(self, certificate: Certificate) -> None:
        """What is said of the last try; the certificate that is there stays."""
        ...

    async def remove(self, host: str) -> None:
        """With its key. Raises `NotFound`."""
        ...

    async def account(self, directory: str) -> AcmeAccount | None:
        """Ours with the authority at this address."""
        ...

    async def keep_account(self, directory: str, account: AcmeAccount) -> None:
        """In place of one before."""
        ...

    async def put_answer(self, token: str, answer: str, until_at: int) -> None:
        """Every node answers `token` with this, until then (RFC 8555 §8.3)."""
        ...

    async def answer(self, token: str, now_ms: int) -> str | None:
        """What is answered now."""
        ...

    async def drop_answer(self, token: str, now_ms: int) -> None:
        """And all whose time is over."""
        ...

    def listen(self, heard: Callable[[], None]) -> None:
        """Hear of it when anything has changed, here or on another node; also without a reason."""
        ...
