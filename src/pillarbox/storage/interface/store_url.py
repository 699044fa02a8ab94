"""where a store is, as it is named by people: a data directory, or the URL of a database"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from pillarbox.storage.interface.errors import BadStoreUrl
from pillarbox.terms.secret import Secret

DATABASE_NAME: Final = "pillarbox.db"
_POSTGRES: Final = ("postgresql://", "postgres://")
_SQLITE: Final = "sqlite://"
_SECRETS: Final = ("password", "sslpassword")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@/,]*)(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where a store is: a data directory, or a PostgreSQL database."""

    shown: str
    """For people, and to tell stores apart: without a password."""
    directory: Path | None = None
    """Absolute; None for a database."""
    database: Secret = field(default=Secret(""))
    """The URL as it was given; empty for a data directory."""

    @property
    def file(self) -> Path:
        """The database file in the data directory."""
        assert self.directory is not None
        return self.directory / DATABASE_NAME

    def without_secrets(self, text: str) -> str:
        """`text` with the password struck out, wherever somebody has repeated it."""
        for secret in _passwords_in(self.database.reveal()):
            text = text.replace(secret, "****")
        return text


def parse_store_url(text: str) -> StoreUrl:
    """Read ``postgresql://...``, ``sqlite:///absolute/path``, or the path of a data directory.

    Raises `BadStoreUrl`, which does not repeat what may be a password.
    """
    text = text.strip()
    if text.startswith(_POSTGRES):
        return _database(text)
    if text.startswith(_SQLITE):
        path = text.removeprefix(_SQLITE)
        if not path.startswith("/"):
            raise BadStoreUrl(
                "A sqlite URL has three slashes and an absolute path.",
                fix=f"sqlite:///var/lib/pillarbox/{DATABASE_NAME}",
            )
        return _file_or_directory(Path(unquote(path)))
    if not text or "://" in text:
        raise BadStoreUrl(
            "A store is named by postgresql://..., by sqlite:///..., or by its data directory."
        )
    return _file_or_directory(Path(text).expanduser())


def directory_url(path: Path) -> StoreUrl:
    """The store in a data directory."""
    path = path.absolute().resolve()
    return StoreUrl(f"{_SQLITE}{path / DATABASE_NAME}", path)


def _file_or_directory(path: Path) -> StoreUrl:
    if path.is_dir() or (path.suffix != ".db" and not path.is_file()):
        return directory_url(path)
    if path.name != DATABASE_NAME:
        raise BadStoreUrl(
            f"The database of a data directory is called {DATABASE_NAME}, not {path.name}.",
            fix="Name the directory, or that file in it.",
        )
    return directory_url(path.parent)


def _database(text: str) -> StoreUrl:
    """What cannot be taken apart for certain is refused: a piece of a password must not be taken for
    the name of a host, and shown.
    """
    try:
        parts = urlsplit(text)
        user = unquote(parts.username or "")
    except ValueError:
        raise _unreadable() from None
    hosts = parts.netloc.rpartition("@")[2]
    strange = "@" in parts.path + parts.query or parts.fragment
    if strange or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise _unreadable()
    asked = [(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRETS]
    place = f"{user}@{hosts}" if user else hosts
    query = f"?{urlencode(asked, safe='/')}" if asked else ""
    return StoreUrl(f"postgresql://{place}{parts.path}{query}", None, Secret(text))


def _unreadable() -> BadStoreUrl:
    return BadStoreUrl(
        "That URL of a database cannot be read.",
        fix="Write what is special in a password with a percent sign: @ is %40, / is %2F, # is %23.",
    )


def _passwords_in(url: str) -> list[str]:
    parts = urlsplit(url)
    found = [value for name, value in parse_qsl(parts.query) if name in _SECRETS]
    if parts.password:
        found += [parts.password, unquote(parts.password)]
    return sorted(filter(None, found), key=len, reverse=True)
