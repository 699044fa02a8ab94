"""who calls, and what they may do and see"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.requests import Request

from pillarbox.api.problems import KeyNeeded, KeyRefused, NotPermitted
from pillarbox.api.rooms import Rooms
from pillarbox.policy.directory import App, Key
from pillarbox.policy.submitter import Submitter
from pillarbox.services.submission.authenticate import Authenticator
from pillarbox.terms.ids import ObjectId


class Verb(StrEnum):
    """What a key may be good for."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"


ALL_VERBS: Final = tuple(verb.value for verb in Verb)
LONGEST_KEY: Final = 256


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever made a request: a key, or the owner of the data directory, who may do everything."""

    key: Key | None

    @property
    def name(self) -> str:
        """What the history says of them."""
        return "owner" if self.key is None else f"key {self.key.name}"

    @property
    def app(self) -> ObjectId | None:
        """The one app they are narrowed to."""
        return None if self.key is None else self.key.app

    def may(self, verb: Verb) -> bool:
        """Whether the verb is among theirs."""
        return self.key is None or verb.value in self.key.verbs

    def require(self, verb: Verb) -> None:
        """Raises `NotPermitted`."""
        if not self.may(verb):
            raise NotPermitted(
                f"This key has not the verb {verb.value!r}.",
                fix=f"Use a key with {verb.value!r}, or give it to this one.",
            )

    def require_whole_account(self) -> None:
        """Raises `NotPermitted` for a key that is narrowed to one app."""
        if self.app is not None:
            raise NotPermitted("This key is narrowed to one app; this concerns all of them.")

    def sees(self, app: App) -> bool:
        """Whether an app exists for them at all."""
        if self.key is None:
            return True
        return app.account == self.key.account and self.key.app in (None, app.id)


OWNER: Final = Caller(None)


async def identify(rooms: Rooms, request: Request) -> Caller:
    """The caller, by ``Authorization: Bearer``. Raises `KeyNeeded` or `KeyRefused`."""
    scheme, _, shown = request.headers.get("authorization", "").strip().partition(" ")
    if not scheme:
        raise KeyNeeded(fix="Send Authorization: Bearer and a key; pillarbox key add makes one.")
    if scheme.lower() != "bearer":
        raise KeyRefused(
            "Only keys are taken here, as Authorization: Bearer and the key.",
            fix="pillarbox key add makes a key.",
        )
    key = await key_shown(rooms.authenticator, shown)
    # One answer for wrong, unknown and switched off: nobody learns which keys exist.
    if key is None:
        raise KeyRefused(fix="Check the key for blanks; pillarbox key add makes another.")
    return Caller(key)


async def key_shown(authenticator: Authenticator, shown: str) -> Key | None:
    """The active key behind what was shown; None for anything else."""
    secret = shown.strip()
    if not secret or len(secret) > LONGEST_KEY:
        return None
    return await authenticator.key(secret)


async def submitter_of(rooms: Rooms, caller: Caller, app: App) -> Submitter:
    """What a caller hands mail over as."""
    if caller.key is None:
        return await rooms.authenticator.owner_for(app)
    return await rooms.authenticator.submitter_for(caller.key, app)
