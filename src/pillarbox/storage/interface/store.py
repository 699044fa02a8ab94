"""the door to storage: all stores of one place"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pillarbox.storage.interface.certificates import CertificateStore
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.domains import DomainStore
from pillarbox.storage.interface.events import EventStore
from pillarbox.storage.interface.images import ImageStore
from pillarbox.storage.interface.keys import KeyStore
from pillarbox.storage.interface.limits import LimitStore
from pillarbox.storage.interface.messages import MessageStore
from pillarbox.storage.interface.nodes import NodeStore
from pillarbox.storage.interface.problems import ProblemStore
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.storage.interface.retention import RetentionStore
from pillarbox.storage.interface.tls import TlsStore
from pillarbox.storage.interface.users import UserStore
from pillarbox.storage.interface.visits import VisitStore


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the store can take charge of mail."""

    writable: bool
    free_bytes: int | None
    schema: int
    engine: str
    trouble: str = ""


class Storage(Protocol):
    """One place where everything is remembered."""

    @property
    def queue(self) -> QueueStore:
        """Deliveries."""
        ...

    @property
    def messages(self) -> MessageStore:
        """Messages and content."""
        ...

    @property
    def events(self) -> EventStore:
        """What happened."""
        ...

    @property
    def directory(self) -> DirectoryStore:
        """What people configured."""
        ...

    @property
    def domains(self) -> DomainStore:
        """Sending domains and the keys that sign for them."""
        ...

    @property
    def retention(self) -> RetentionStore:
        """What is kept for how long."""
        ...

    @property
    def nodes(self) -> NodeStore:
        """Who shares this."""
        ...

    @property
    def problems(self) -> ProblemStore:
        """Why clients could not hand in mail."""
        ...

    @property
    def limits(self) -> LimitStore:
        """What those who share it may do together."""
        ...

    @property
    def users(self) -> UserStore:
        """People who sign in."""
        ...

    @property
    def tls(self) -> TlsStore:
        """What domains demand of TLS, and what became of sessions with their hosts."""
        ...

    @property
    def keys(self) -> KeyStore:
        """What tokens are minted with."""
        ...

    @property
    def images(self) -> ImageStore:
        """Images that we show."""
        ...

    @property
    def visits(self) -> VisitStore:
        """What readers did."""
        ...

    @property
    def certificates(self) -> CertificateStore:
        """Certificates of our host names, asked from an authority."""
        ...

    async def health(self) -> Health:
        """A write, a look at the schema and at the room left."""
        ...

    async def close(self) -> None:
        """Finish what waits, then close. Nothing may be called afterwards."""
        ...
