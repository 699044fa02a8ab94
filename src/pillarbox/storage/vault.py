"""secrets at rest: AES-GCM, key file, rotation

Passwords of servers must be usable, so they are sealed, not hashed. The key lies beside the data
in a file only its owner can read; whoever has the database alone has no password.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.terms.secret import Secret

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SHOWN_DIGITS: Final = 16
_VERSION: Final = b"\x01"


class Vault:
    """Seals and opens secrets. What a value belongs to is bound into it as associated data."""

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes."""
        self._cipher = AESGCM(key)
        self.fingerprint = hashlib.sha256(b"fingerprint of the secret key\0" + key).hexdigest()[
            :_SHOWN_DIGITS
        ]
        """Tells one key from another, and nothing of either."""

    @classmethod
    def of(cls, text: str) -> Vault:
        """A key given as hexadecimal digits. Raises `StorageTrouble`."""
        try:
            key = bytes.fromhex(text.strip())
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise StorageTrouble(
                f"The secret key is not {2 * _KEY_BYTES} hexadecimal digits.",
                fix="Make one: openssl rand -hex 32",
            )
        return cls(key)

    @classmethod
    def at(cls, path: Path) -> Vault:
        """Read the key file, or make it on first use. Raises `StorageTrouble`."""
        if not path.exists():
            _write_once(path, os.urandom(_KEY_BYTES))
        if path.stat().st_mode & 0o077:
            raise StorageTrouble(
                f"{path.name} can be read by others.",
                code="config_secret_world_readable",
                fix=f"chmod 600 {path}",
            )
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise StorageTrouble(
                f"{path.name} is damaged: it has {len(key)} bytes, not {_KEY_BYTES}.",
                fix="Restore it from a backup; without it the servers' passwords are lost.",
            )
        return cls(key)

    def seal(self, secret: Secret, owner: bytes) -> bytes:
        """Bytes that only `open_sealed` with the same owner turns back."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.reveal().encode(), owner)

    def open_sealed(self, sealed: bytes, owner: bytes) -> Secret:
        """The secret. Raises `StorageTrouble` for a wrong key, owner or damaged bytes."""
        start = len(_VERSION)
        nonce, sealed_text = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return Secret(self._cipher.decrypt(nonce, sealed_text, owner).decode())
        except (InvalidTag, ValueError) as error:
            raise StorageTrouble(
                "A stored secret cannot be opened with this key file.",
                fix="Restore secret.key from the backup that goes with this database.",
            ) from error


def copy_key(source: Path, target: Path) -> None:
    """The key of one data directory for another one that has none; synced when this returns."""
    _write_once(target, source.read_bytes())


def _write_once(path: Path, data: bytes) -> None:
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
