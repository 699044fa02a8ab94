"""who is it: logins and keys become submitters

Generated secrets have 160 bits or more, so a plain SHA-256 keeps them: there is nothing to guess,
and a slow hash would only slow the login down. An unknown name costs the same as a wrong password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from typing import Final

from pillarbox.policy.directory import (
    Account,
    App,
    Credential,
    CredentialKind,
    Key,
    Mode,
    Submitter,
    SubmitterKind,
    strictest,
)
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.clock import Clock
from pillarbox.terms.secret import Secret

_ALPHABET: Final = string.ascii_letters + string.digits
_NOBODY: Final = hashlib.sha256(b"nobody has this password").digest()


def new_password() -> Secret:
    """``pb_`` and 32 letters and digits: nothing that a shell, URL or .env file would change."""
    return Secret("pb_" + "".join(secrets.choice(_ALPHABET) for _ in range(32)))


def new_key_secret() -> Secret:
    """64 hex digits, the form existing clients of the email service know."""
    return Secret(secrets.token_hex(32))


def hash_secret(secret: Secret) -> bytes:
    """What is stored of a generated secret."""
    return hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest()


class Authenticator:
    """Looks up logins and keys; all secrets are compared in constant time."""

    def __init__(self, directory: DirectoryStore, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._local: tuple[int, str, Submitter | None] | None = None

    @property
    def version(self) -> int:
        """Moves when what was answered may no longer hold; see `still_valid`."""
        return self._directory.version

    async def login(self, username: str, password: Secret) -> Submitter | None:
        """The submitter behind an SMTP login, or None without saying why."""
        credential = await self._directory.credential_with_username(username)
        stored = credential.password_hash if credential is not None else _NOBODY
        right = hmac.compare_digest(stored, hash_secret(password))
        if credential is None or not right or not credential.active:
            return None
        self._directory.note_use(credential.id, self._clock.now_ms())
        return await self._of_credential(credential)

    async def local(self, name: str) -> Submitter | None:
        """The submitter for a plain port of this machine, by the credential's name.

        Asked for at every connection, so the answer is kept as long as nothing has changed.
        """
        kept = self._local
        if kept is None or kept[:2] != (self._directory.version, name):
            version = self._directory.version
            kept = self._local = (version, name, await self._find_local(name))
        submitter = kept[2]
        if submitter is not None:
            self._directory.note_use(submitter.id, self._clock.now_ms())
        return submitter

    async def _find_local(self, name: str) -> Submitter | None:
        for credential in await self._directory.credentials():
            if credential.name == name and credential.active:
                return await self._of_credential(credential)
        return None

    async def still_valid(self, submitter: Submitter) -> Submitter | None:
        """The submitter as it stands now, or None where it may no longer submit."""
        try:
            credential = await self._directory.credential(submitter.id)
        except NotFound:
            return None
        return await self._of_credential(credential) if credential.active else None

    async def key(self, secret: str) -> Key | None:
        """The active key with that secret, or None."""
        key = await self._directory.key_with_hash(hash_secret(Secret(secret)))
        if key is None or not key.active:
            return None
        self._directory.note_use(key.id, self._clock.now_ms())
        return key

    async def submitter_for(self, key: Key, app: App) -> Submitter:
        """What a key may do in an app. Raises `NotFound` where the account is gone."""
        account = await self._directory.account(app.account)
        return Submitter(
            kind=SubmitterKind.KEY,
            id=key.id,
            name=key.name,
            account=account,
            app=app,
            mode=strictest(app.mode, key.mode),
            uncertain=key.uncertain,
            allowed_senders=key.allowed_senders,
        )

    async def owner_for(self, app: App) -> Submitter:
        """The owner of this machine, speaking through the socket in the data directory."""
        account = await self._directory.account(app.account)
        return Submitter(
            kind=SubmitterKind.KEY, id=account.id, name="owner", account=account, app=app,
            mode=app.mode,
        )  # fmt: skip

    async def _of_credential(self, credential: Credential) -> Submitter | None:
        try:
            app = await self._directory.app(credential.app)
            account: Account = await self._directory.account(app.account)
        except NotFound:
            return None
        return Submitter(
            kind=SubmitterKind.CREDENTIAL,
            id=credential.id,
            name=credential.name,
            account=account,
            app=app,
            mode=strictest(app.mode, credential.mode, None if app.active else Mode.OFF),
            uncertain=credential.uncertain,
            relays=credential.kind is CredentialKind.RELAY,
            allowed_senders=credential.allowed_senders,
            options=credential.options,
        )
