"""sending domains and their sealed keys, over an engine, behind the directory's version"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pillarbox.message.dkim import Algorithm, SigningKey, read_key
from pillarbox.message.keys import key_id, parse_key_id
from pillarbox.policy.dkim_key import DkimKey
from pillarbox.policy.domain_findings import Checked
from pillarbox.policy.sending_domain import (
    Proved,
    SendingDomain,
    Signing,
    without_hosts_of_others,
)
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes
from pillarbox.storage.directory import SqlDirectoryStore
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.vault import Vault
from pillarbox.terms.ids import ORDINAL_BITS, ObjectId, first_message_at
from pillarbox.terms.secret import Secret

_MOST_KEYS: Final = 1000
"""Private keys that are kept read; beyond them all are read anew."""


class FoundMember(Member):
    """What a look at a domain's records found, with what is told of it."""

    __slots__ = ("_checked", "_domain", "_due_at", "_events")

    def __init__(
        self,
        domain: SendingDomain,
        checked: Checked,
        due_at: int,
        events: Sequence[tuple[str, Struct]],
    ) -> None:
        super().__init__()
        self._due_at = due_at
        self._domain = domain
        self._checked = checked
        self._events = [(kind, encode(data)) for kind, data in events]

    def steps(self) -> list[Step]:
        """An update, never an insert: one that was removed meanwhile stays away."""
        row = (self._domain.id, self._due_at, encode(self._checked))
        return [Step("domain.checked", row)]

    def resolve(self, results: list[list[Row]]) -> None:
        """Raises `NotFound` where it is gone."""
        if not results[0]:
            raise _no_domain()

    def write(self, batch: Batch) -> None:
        """The events are of no app, but of the account."""
        for kind, data in self._events:
            batch.event(self._checked.at, self._domain.account, kind, 0, 0, data)


class SqlDomainStore:
    """See `storage.interface.domains.DomainStore` for what is promised.

    What is kept in memory holds as long as the version of the directory: other nodes hear of a
    change by it.
    """

    def __init__(self, engine: Engine, vault: Vault, directory: SqlDirectoryStore) -> None:
        self._engine = engine
        self._vault = vault
        self._directory = directory
        self._proved: tuple[int, Proved] = (0, Proved())
        self._named: tuple[int, dict[str, SigningKey | None]] = (0, {})
        """By what messages call them; None: known to be revoked or gone."""
        self._read: dict[bytes, SigningKey] = {}
        """By their sealed bytes, which never change: to read an RSA key costs more than to sign."""

    # --- who may sign -------------------------------------------------------------------------

    @property
    def proved_now(self) -> Proved | None:
        """As long as the version is the same."""
        version, proved = self._proved
        return proved if version == self._directory.version else None

    async def proved(self) -> Proved:
        """Three statements, after every change of the directory."""
        while (proved := self.proved_now) is None:
            version = self._directory.version
            # What changes while it is being read is noticed by the version it was begun with.
            self._proved = (version, await self._read_proved())
        return proved

    async def _read_proved(self) -> Proved:
        rows = await self._engine.read("domain.proved")
        keys: dict[bytes, list[DkimKey]] = {}
        for row in await self._engine.read("dkim.active") if rows else ():
            keys.setdefault(as_bytes(row[0]), []).append(decode(as_bytes(row[1]), DkimKey))
        found: dict[str, Signing] = {}
        for row in rows:
            domain = decode(as_bytes(row[1]), SendingDomain)
            mine = sorted(keys.get(as_bytes(row[0]), ()), key=_rsa_first)
            found[domain.name] = Signing(
                domain.name, domain.account, domain.covers_below,
                tuple(key_id(domain.name, key.selector) for key in mine),
                domain.tracking_host if domain.tracking_found else "", domain.bounce_host,
            )  # fmt: skip
        unproved = [
            decode(as_bytes(row[0]), SendingDomain)
            for row in await self._engine.read("domain.unproved")
        ]
        return Proved(
            without_hosts_of_others(found),
            {(domain.account, domain.name): domain.covers_below for domain in unproved},
        )

    def signing_keys_now(self, key_ids: Sequence[str]) -> Mapping[str, SigningKey] | None:
        """None where one has to be looked up."""
        version, named = self._named
        if version != self._directory.version or not named.keys() >= set(key_ids):
            return None
        return {name: key for name in key_ids if (key := named[name]) is not None}

    async def signing_keys(self, key_ids: Sequence[str]) -> Mapping[str, SigningKey]:
        """One statement for each that is not in memory."""
        while (keys := self.signing_keys_now(key_ids)) is None:
            version = self._directory.version
            named = self._named[1] if self._named[0] == version else {}
            unknown = [name for name in key_ids if name not in named]
            looked_up = {name: await self._signing_key(name) for name in unknown}
            if len(named) > _MOST_KEYS:
                named.clear()
            named.update(looked_up)
            self._named = (version, named)
        return keys

    async def _signing_key(self, name: str) -> SigningKey | None:
        domain, selector = parse_key_id(name)
        for row in await self._engine.read("dkim.secret", domain, selector):
            sealed = as_bytes(row[1])
            key = self._read.get(sealed)
            if key is None:
                secret = self._vault.open_sealed(sealed, _owner(as_bytes(row[0]), selector))
                if len(self._read) >= _MOST_KEYS:
                    self._read.clear()
                key = self._read[sealed] = read_key(domain, selector, secret, is_ours=True)
            return key
        return None

    # --- domains ------------------------------------------------------------------------------

    async def domains(self) -> list[SendingDomain]:
        """By name."""
        return [
            decode(as_bytes(r[0]), SendingDomain) for r in await self._engine.read("domain.all")
        ]

    async def domain(self, domain: ObjectId) -> SendingDomain:
        """Raises `NotFound`."""
        return decode(as_bytes((await self._row(domain))[0]), SendingDomain)

    async def checked(self, domain: ObjectId) -> Checked | None:
        """Raises `NotFound`."""
        found = as_bytes((await self._row(domain))[1])
        return decode(found, Checked) if found else None

    async def all_checked(self) -> Mapping[ObjectId, Checked]:
        """All rows."""
        found: dict[ObjectId, Checked] = {}
        for row in await self._engine.read("domain.all"):
            if checked := as_bytes(row[1]):
                found[decode(as_bytes(row[0]), SendingDomain).id] = decode(checked, Checked)
        return found

    async def due(self, now_ms: int, limit: int) -> list[SendingDomain]:
        """By when they were due."""
        rows = await self._engine.read("domain.due", now_ms, limit)
        return [decode(as_bytes(row[0]), SendingDomain) for row in rows]

    async def save_domain(self, domain: SendingDomain) -> None:
        """Raises `Conflict`."""
        proved = int(bool(domain.proved_at))
        row = (domain.id, domain.account, domain.name, proved, encode(domain))
        await self._change(
            [Step("domain.save", row)],
            f"{domain.name} is a sending domain already: of this account (pillarbox domain list), or "
            "proved by another.",
        )

    async def look_at(self, domain: ObjectId, due_at: int) -> None:
        """One row."""
        await self._engine.change(Step("domain.look_at", (domain, due_at)))

    async def save_checked(
        self,
        domain: SendingDomain,
        checked: Checked,
        due_at: int,
        events: Sequence[tuple[str, Struct]],
    ) -> None:
        """Raises `NotFound`."""
        await self._engine.submit(FoundMember(domain, checked, due_at, events))

    async def remove_domain(self, domain: ObjectId) -> None:
        """Raises `NotFound`."""
        steps = [Step(name, (domain,)) for name in ("dkim.delete_of_domain", "domain.delete")]
        if not (await self._change(steps, ""))[1]:
            raise _no_domain()

    async def waits(self, account: ObjectId, before_ms: int) -> bool:
        """Deliveries are numbered by when their message was taken."""
        first = first_message_at(before_ms) << ORDINAL_BITS
        return bool(await self._engine.read("domain.waiting", account, first))

    async def _row(self, domain: ObjectId) -> Row:
        for row in await self._engine.read("domain.one", domain):
            return row
        raise _no_domain()

    # --- keys ---------------------------------------------------------------------------------

    async def keys(self, domain: ObjectId) -> list[DkimKey]:
        """By selector."""
        rows = await self._engine.read("dkim.of_domain", domain)
        return [decode(as_bytes(row[0]), DkimKey) for row in rows]

    async def add_keys(self, domain: ObjectId, keys: Sequence[tuple[DkimKey, Secret]]) -> None:
        """Raises `Conflict`."""
        steps = []
        for key, private in keys:
            sealed = self._vault.seal(private, _owner(domain, key.selector))
            row = (domain, key.selector, key.state, sealed, encode(key))
            steps.append(Step("dkim.add", row))
        names = ", ".join(key.selector for key, _ in keys)
        await self._change(steps, f"The domain has a key with one of these selectors: {names}.")

    async def save_keys(self, domain: ObjectId, keys: Sequence[DkimKey]) -> None:
        """Raises `NotFound`."""
        rows = [(domain, key.selector, key.state, encode(key)) for key in keys]
        done = await self._change([Step("dkim.change", row) for row in rows], "")
        if not all(done[: len(rows)]):
            raise _no_key()

    async def remove_key(self, domain: ObjectId, selector: str) -> None:
        """Raises `NotFound`."""
        if not (await self._change([Step("dkim.delete", (domain, selector))], ""))[0]:
            raise _no_key()

    async def _change(self, steps: Sequence[Step], conflict: str) -> list[list[Row]]:
        try:
            done = await self._engine.change(*steps, Step("directory.moved"))
            self._engine.tell("directory")
            return done
        except Conflict as error:
            raise Conflict(conflict, detail=error.detail) from error
        finally:
            self._directory.forget()


def _owner(domain: bytes, selector: str) -> bytes:
    """What a sealed key belongs to."""
    return domain + b"/" + selector.encode("ascii")


def _rsa_first(key: DkimKey) -> tuple[bool, str]:
    """Who checks one signature alone checks the first; all can read RSA."""
    return key.algorithm is Algorithm.ED25519, key.selector


def _no_domain() -> NotFound:
    return NotFound("There is no such domain.", fix="List them: pillarbox domain list")


def _no_key() -> NotFound:
    return NotFound("There is no such key.", fix="List them: pillarbox domain keys DOMAIN")
