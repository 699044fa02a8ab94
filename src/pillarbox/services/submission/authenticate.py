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

from pillarbox.policy.credential import Credential, CredentialKind, LoginUse
from pillarbox.policy.directory import Account, App, Key, Mode, strictest
from pillarbox.policy.limits import rates_of
from pillarbox.policy.networks import is_within
from pillarbox.policy.problems import Problem, ProblemKind, shown
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.clock import Clock
from pillarbox.terms.secret import Secret

_ALPHABET: Final = string.ascii_letters + string.digits
_SPACED_ALPHABET: Final = string.ascii_lowercase + string.digits
_SPACED_GROUPS: Final = 8
_NOBODY: Final = hashlib.sha256(b"nobody has this password").digest()


def new_password() -> Secret:
    """``pb_`` and 32 letters and digits: nothing that a shell, URL or .env file would change."""
    return Secret("pb_" + "".join(secrets.choice(_ALPHABET) for _ in range(32)))


def new_spaced_password() -> Secret:
    """Eight groups of four letters and digits: every space counts."""
    groups = (
        "".join(secrets.choice(_SPACED_ALPHABET) for _ in range(4)) for _ in range(_SPACED_GROUPS)
    )
    return Secret(" ".join(groups))


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
        self._local: tuple[int, str, Submitter | ProblemKind] | None = None

    @property
    def version(self) -> int:
        """Moves when what was answered may no longer hold; see `still_valid`."""
        return self._directory.version

    async def login(
        self, username: str, password: Secret, visit: LoginUse, port: int
    ) -> Submitter | Problem:
        """The submitter behind an SMTP login, or why there is none, for the operator alone.

        Every answer costs the same up to the comparison. Raises `Trouble`.
        """
        credential = await self._directory.credential_with_username(username)
        shown_hash = hash_secret(password)
        stored = credential.password_hash if credential is not None else _NOBODY
        former = credential.former if credential is not None else None
        right = hmac.compare_digest(stored, shown_hash)
        formerly = hmac.compare_digest(former.password_hash if former else _NOBODY, shown_hash)
        kind = _why_not(credential, username, visit, right=right, formerly=formerly)
        if credential is None or kind is not None:
            return Problem(
                kind or ProblemKind.UNKNOWN_USERNAME, visit.address, port, shown(username),
                credential.id if credential is not None else None,
            )  # fmt: skip
        submitter = await self._of_credential(credential, shown_hash)
        if submitter is None:
            return Problem(
                ProblemKind.DISABLED, visit.address, port, shown(username), credential.id
            )
        by_former = formerly or username != credential.username
        self._directory.note_use(credential.id, visit, former=by_former)
        return submitter

    async def local(self, name: str) -> Submitter | ProblemKind:
        """The submitter for a plain port of this machine, by the credential's name, or why there is
        none. Asked for at every connection, so the answer is kept as long as nothing has changed.
        """
        kept = self._local
        if kept is None or kept[:2] != (self._directory.version, name):
            version = self._directory.version
            kept = self._local = (version, name, await self._find_local(name))
        found, now_ms = kept[2], self._clock.now_ms()
        if isinstance(found, ProblemKind):
            return found
        if found.ends_at is not None and now_ms >= found.ends_at:
            return ProblemKind.EXPIRED
        self._directory.note_use(found.id, LoginUse(now_ms))
        return found

    async def _find_local(self, name: str) -> Submitter | ProblemKind:
        named = [each for each in await self._directory.credentials() if each.name == name]
        for credential in named:
            if credential.active:
                return await self._of_credential(credential, b"") or ProblemKind.DISABLED
        return ProblemKind.DISABLED if named else ProblemKind.UNKNOWN_USERNAME

    async def still_valid(self, submitter: Submitter, address: str) -> Submitter | ProblemKind:
        """The submitter as it stands now, or why it may no longer submit from that address: its
        credential was switched off or removed, has expired, is used from elsewhere now, or has
        another password than it logged in with.
        """
        try:
            credential = await self._directory.credential(submitter.id)
        except NotFound:
            return ProblemKind.UNKNOWN_USERNAME
        shown_hash = submitter.secret_hash
        if shown_hash and shown_hash != credential.password_hash:
            former = credential.former
            holds = credential.holds_former(self._clock.now_ms())
            if former is None or not holds or shown_hash != former.password_hash:
                return ProblemKind.ROTATED_PASSWORD
        if not credential.active:
            return ProblemKind.DISABLED
        if credential.has_expired(self._clock.now_ms()):
            return ProblemKind.EXPIRED
        allowed = credential.allowed_addresses
        if shown_hash and allowed and not is_within(allowed, address):
            return ProblemKind.ADDRESS_NOT_ALLOWED
        return await self._of_credential(credential, shown_hash) or ProblemKind.DISABLED

    async def key(self, secret: str) -> Key | None:
        """The active key with that secret, or None."""
        key = await self._directory.key_with_hash(hash_secret(Secret(secret)))
        if key is None or not key.active:
            return None
        self._directory.note_use(key.id, LoginUse(self._clock.now_ms()))
        return key

    def local_at_once(self, name: str) -> Submitter | None:
        """What `local` would answer, where nothing has to be looked up for it; otherwise None.

        Every connection to such a port asks, and most of them bring one message.
        """
        kept, now_ms = self._local, self._clock.now_ms()
        if kept is None or kept[0] != self._directory.version or kept[1] != name:
            return None
        found = kept[2]
        if not isinstance(found, Submitter):
            return None
        if found.ends_at is not None and now_ms >= found.ends_at:
            return None
        self._directory.note_use(found.id, LoginUse(now_ms))
        return found

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

    async def _of_credential(self, credential: Credential, shown_hash: bytes) -> Submitter | None:
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
            fixed_options=frozenset(credential.fixed_options),
            rates=rates_of(credential),
            over_limit=credential.over_limit,
            max_message_bytes=credential.max_message_bytes,
            ends_at=_end_of(credential, shown_hash),
            once=credential.once,
            secret_hash=shown_hash,
        )


def _why_not(
    credential: Credential | None, username: str, visit: LoginUse, *, right: bool, formerly: bool
) -> ProblemKind | None:
    """Why a login is refused; None where it is not. Whoever has not shown the password learns of
    nothing else.
    """
    if credential is None:
        return ProblemKind.UNKNOWN_USERNAME
    holds = credential.holds_former(visit.at)
    if not right and not (formerly and holds):
        return ProblemKind.ROTATED_PASSWORD if formerly else ProblemKind.WRONG_PASSWORD
    if username != credential.username and not holds:
        return ProblemKind.ROTATED_PASSWORD
    if not credential.active:
        return ProblemKind.DISABLED
    if credential.has_expired(visit.at):
        return ProblemKind.EXPIRED
    allowed = credential.allowed_addresses
    if allowed and not is_within(allowed, visit.address):
        return ProblemKind.ADDRESS_NOT_ALLOWED
    return None


def _end_of(credential: Credential, shown_hash: bytes) -> int | None:
    """When a session ceases to be valid although nobody changes anything."""
    ends = [credential.expires_at] if credential.expires_at is not None else []
    former = credential.former
    if former is not None and shown_hash and shown_hash != credential.password_hash:
        ends.append(former.until)
    return min(ends, default=None)
