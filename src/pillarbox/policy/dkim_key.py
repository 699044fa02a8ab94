"""a DKIM key of a sending domain: its life, from the record that is awaited to the day it is revoked

A key signs only after its record was found at every name server, and a key that has been replaced
goes on signing what named it at the door, so that a second attempt sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from pillarbox.message.dkim import Algorithm
from pillarbox.policy.errors import Refusal, WrongState


class KeyState(StrEnum):
    """Where a key is in its life."""

    PENDING = "pending"
    """Its record is awaited; it signs nothing."""
    ACTIVE = "active"
    """New mail names it."""
    RETIRED = "retired"
    """Another one has taken its place; mail that names it is still signed with it."""
    REVOKED = "revoked"
    """It signs nothing any more, whoever names it; its record is emptied (RFC 6376 §3.6.1)."""


class KeyAct(StrEnum):
    """What is done with a key."""

    ACTIVATE = "activate"
    RETIRE = "retire"
    REVOKE = "revoke"
    REMOVE = "remove"


KEY_LIFE: Final[Mapping[tuple[KeyState, KeyAct], KeyState | None]] = {
    (KeyState.PENDING, KeyAct.ACTIVATE): KeyState.ACTIVE,
    (KeyState.PENDING, KeyAct.REVOKE): KeyState.REVOKED,
    (KeyState.PENDING, KeyAct.REMOVE): None,
    (KeyState.ACTIVE, KeyAct.RETIRE): KeyState.RETIRED,
    (KeyState.ACTIVE, KeyAct.REVOKE): KeyState.REVOKED,
    (KeyState.RETIRED, KeyAct.ACTIVATE): KeyState.ACTIVE,
    (KeyState.RETIRED, KeyAct.REVOKE): KeyState.REVOKED,
    (KeyState.RETIRED, KeyAct.REMOVE): None,
    (KeyState.REVOKED, KeyAct.REMOVE): None,
}
"""What an act makes of a key in a state; None: it is gone. What is not here is refused."""

_WHY_NOT: Final = {
    (KeyState.ACTIVE, KeyAct.REMOVE): "It signs new mail; retire it first, or revoke it.",
    (KeyState.PENDING, KeyAct.RETIRE): "It has never signed anything; remove it instead.",
    (KeyState.REVOKED, KeyAct.ACTIVATE): "What was revoked is not trusted again; make another.",
}


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What is known of a key without its private half. Instants are milliseconds, 0 for never."""

    selector: str
    algorithm: Algorithm
    record: str
    """The TXT record at ``SELECTOR._domainkey.DOMAIN``."""
    state: KeyState = KeyState.PENDING
    imported: bool = False
    created_at: int = 0
    found_at: int = 0
    """Since when its record is found at every name server without a break."""
    active_at: int = 0
    retired_at: int = 0
    revoked_at: int = 0

    @property
    def wanted_record(self) -> str:
        """What belongs into the DNS now: without its key once it is revoked."""
        if self.state is not KeyState.REVOKED:
            return self.record
        return self.record.partition("p=")[0] + "p="

    def after(self, act: KeyAct, now_ms: int) -> DkimKey | None:
        """The key behind an act; None where it is gone. Raises `WrongState`."""
        if (self.state, act) not in KEY_LIFE:
            why = _WHY_NOT.get((self.state, act), f"It is {self.state} already.")
            raise WrongState(f"The key {self.selector} cannot be used so: {why}")
        state = KEY_LIFE[self.state, act]
        match state:
            case None:
                return None
            case KeyState.ACTIVE:
                return replace(self, state=state, active_at=now_ms, retired_at=0)
            case KeyState.RETIRED:
                return replace(self, state=state, retired_at=now_ms)
            case _:
                return replace(self, state=state, revoked_at=now_ms)


def activated(keys: Iterable[DkimKey], selector: str, now_ms: int) -> list[DkimKey]:
    """The keys that change when one is activated: it, and those of its algorithm that it replaces.

    Raises `WrongState`, and `Refusal` where there is no such key.
    """
    keys = list(keys)
    chosen = find_key(keys, selector)
    changed = [chosen.after(KeyAct.ACTIVATE, now_ms)]
    for key in keys:
        if key.state is KeyState.ACTIVE and key.algorithm is chosen.algorithm and key != chosen:
            changed.append(key.after(KeyAct.RETIRE, now_ms))
    return [key for key in changed if key is not None]


def ripe(keys: Iterable[DkimKey], now_ms: int, publish_ms: int) -> list[str]:
    """Selectors of pending keys whose time to sign has come.

    One that replaces another waits until its record has been there for `publish_ms`: who asked
    before may remember for so long that there was none. The first one of its kind has nothing to
    wait for; without it nothing is signed at all.
    """
    keys = list(keys)
    at_work = {key.algorithm for key in keys if key.state is KeyState.ACTIVE}
    found: dict[Algorithm, DkimKey] = {}
    for key in keys:
        if key.state is not KeyState.PENDING or not key.found_at:
            continue
        if key.algorithm in at_work and now_ms - key.found_at < publish_ms:
            continue
        before = found.get(key.algorithm)
        if before is None or before.created_at < key.created_at:
            found[key.algorithm] = key
    return [key.selector for key in found.values()]


def find_key(keys: Iterable[DkimKey], selector: str) -> DkimKey:
    """By its selector. Raises `Refusal`."""
    for key in keys:
        if key.selector == selector:
            return key
    raise Refusal(
        f"The domain has no key with the selector {selector[:80]!r}.",
        code="not_found",
        fix="List them: pillarbox domain keys DOMAIN",
    )
