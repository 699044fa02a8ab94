"""a server as it is stored: its facts, and its secrets as one, to be sealed beside them"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msgspec import json

from pillarbox.policy.server import Server
from pillarbox.storage.codec import encode
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret

_SECRETS: Final = ("password", "client_secret", "refresh_token")
_SEVERAL: Final = "\x01"
"""Begins the secrets of a server that has more than a password; no password begins so."""


def server_facts(server: Server) -> bytes:
    """Everything but its secrets, and the account, which its app knows."""
    return encode(
        replace(
            server, password=None, client_secret=None, refresh_token=None, account=ObjectId(b"")
        )
    )


def joined(server: Server) -> Secret | None:
    """Its secrets as one: the password as it is where there is nothing else."""
    if not server.client_secret and not server.refresh_token:
        return server.password
    parts = {name: secret.reveal() for name in _SECRETS if (secret := getattr(server, name))}
    return Secret(_SEVERAL + json.encode(parts).decode())


def parted(secrets: Secret) -> dict[str, Secret]:
    """By name, what `joined` made one."""
    text = secrets.reveal()
    if not text.startswith(_SEVERAL):
        return {"password": secrets}
    parts = json.decode(text[len(_SEVERAL) :], type=dict[str, str])
    return {name: Secret(value) for name, value in parts.items() if name in _SECRETS}
