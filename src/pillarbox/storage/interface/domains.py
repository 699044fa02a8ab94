"""sending domains, their sealed signing keys, and what was last found of their records"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from pillarbox.message.dkim import SigningKey
from pillarbox.policy.dkim_key import DkimKey
from pillarbox.policy.domain_findings import Checked
from pillarbox.policy.sending_domain import Proved, SendingDomain
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret


class DomainStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer."""

    @property
    def proved_now(self) -> Proved | None:
        """All proved domains, where they are in memory and nobody has changed anything since."""
        ...

    async def proved(self) -> Proved:
        """All proved domains; `proved_now` has them afterwards."""
        ...

    async def domains(self) -> list[SendingDomain]:
        """Of all accounts, by name."""
        ...

    async def domain(self, domain: ObjectId) -> SendingDomain:
        """Raises `NotFound`."""
        ...

    async def checked(self, domain: ObjectId) -> Checked | None:
        """What the last look at its records found; None: nobody has looked. Raises `NotFound`."""
        ...

    async def all_checked(self) -> Mapping[ObjectId, Checked]:
        """What the last looks found, by domain; those that nobody has looked at are not there."""
        ...

    async def due(self, now_ms: int, limit: int) -> list[SendingDomain]:
        """Those whose records want another look, the longest waiting first."""
        ...

    async def save_domain(self, domain: SendingDomain) -> None:
        """Insert or replace. Raises `Conflict` where the account has the name already, or another
        one has proved it.
        """
        ...

    async def look_at(self, domain: ObjectId, due_at: int) -> None:
        """Its records want the next look then; 0: now, also where a look is under way that began
        before, and does not know what has changed. One that is gone stays away.
        """
        ...

    async def save_checked(
        self,
        domain: SendingDomain,
        checked: Checked,
        due_at: int,
        events: Sequence[tuple[str, Struct]],
    ) -> None:
        """What a look found, when the next is due, and the events about it, in one commit. Raises
        `NotFound`.
        """
        ...

    async def remove_domain(self, domain: ObjectId) -> None:
        """With its keys. Raises `NotFound`."""
        ...

    async def waits(self, account: ObjectId, before_ms: int) -> bool:
        """Whether mail that the account handed in before an instant is not settled."""
        ...

    async def keys(self, domain: ObjectId) -> list[DkimKey]:
        """A domain's keys by selector."""
        ...

    async def add_keys(self, domain: ObjectId, keys: Sequence[tuple[DkimKey, Secret]]) -> None:
        """Keys with their private halves in PEM. Raises `Conflict` where a selector is in use."""
        ...

    async def save_keys(self, domain: ObjectId, keys: Sequence[DkimKey]) -> None:
        """Their lives go on, all in one commit; one that is revoked stays so. Raises `NotFound`
        where one is gone, or revoked and was to be something else; the others are changed.
        """
        ...

    async def remove_key(self, domain: ObjectId, selector: str) -> None:
        """Raises `NotFound`."""
        ...

    def signing_keys_now(self, key_ids: Sequence[str]) -> Mapping[str, SigningKey] | None:
        """As `signing_keys`, where they are in memory."""
        ...

    async def signing_keys(self, key_ids: Sequence[str]) -> Mapping[str, SigningKey]:
        """The keys that a message names as ``domain/selector``; those that are revoked or gone are
        left out.
        """
        ...
