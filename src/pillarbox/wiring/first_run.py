"""what a new data directory begins with: an account, an app in sandbox, a login and a key"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import Account, App, Key, Mode
from pillarbox.services.submission.authenticate import (
    hash_secret,
    new_key_secret,
    new_password,
)
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret

FIRST_APP: Final = "first-app"
_ACCOUNT: Final = "default"
_HINT_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True)
class FirstSecrets:
    """Shown once, kept only as hashes."""

    username: str
    password: Secret
    key: Secret


async def begin(directory: DirectoryStore, now_ms: int) -> FirstSecrets | None:
    """Make what is missing; None where the directory was begun before.

    The account comes last: a process killed half-way begins again, and takes up what is there.
    """
    if await directory.accounts():
        return None
    account = Account(new_object_id(), _ACCOUNT)
    for left_over in await directory.apps():
        await directory.remove_app(left_over.id)
    for key in await directory.keys():
        await directory.remove_key(key.id)
    app = App(
        new_object_id(), account.id, FIRST_APP, "First app", mode=Mode.SANDBOX, created_at=now_ms
    )
    password, secret = new_password(), new_key_secret()
    await directory.save_app(app)
    await directory.save_credential(
        Credential(
            new_object_id(), app.id, FIRST_APP, FIRST_APP, hash_secret(password),
            created_at=now_ms,
        )
    )  # fmt: skip
    await directory.save_key(
        Key(
            new_object_id(), account.id, FIRST_APP, hash_secret(secret),
            secret.reveal()[:_HINT_CHARACTERS], created_at=now_ms,
        )
    )  # fmt: skip
    await directory.save_account(account)
    return FirstSecrets(FIRST_APP, password, secret)
