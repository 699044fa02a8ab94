"""what keeps a database from being opened, in words a person can act on"""

from __future__ import annotations

from typing import Final

import asyncpg
from asyncpg import exceptions as pg

from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.postgres_errors import mapped
from pillarbox.terms.errors import PillarboxError

OLDEST: Final = 15
"""The oldest PostgreSQL that is used."""


def unopened(error: BaseException, place: StoreUrl) -> PillarboxError:
    """Why the database at `place` could not be opened; its password is repeated nowhere."""
    sentence, fix = "", ""
    match error:
        case PillarboxError():
            return error
        case ValueError():
            # The driver's words for what it cannot read may hold a piece of a password.
            return StorageTrouble(
                f"The URL of the database {place.shown} cannot be used.",
                fix="postgresql://USER@HOST/NAME, with sslmode=require where it is far away",
            )
        case pg.InvalidCatalogNameError():
            sentence = f"There is no database at {place.shown}."
            fix = "Make an empty one first, as with: createdb NAME"
        case pg.InvalidAuthorizationSpecificationError():
            sentence = f"PostgreSQL does not let us in at {place.shown}."
            fix = "See what PILLARBOX_DATABASE_URL, PGPASSWORD or ~/.pgpass says, and pg_hba.conf there."
        case pg.InsufficientPrivilegeError():
            sentence = f"We may not make tables in {place.shown}."
            fix = "GRANT CREATE ON SCHEMA public TO USER, or make USER the owner of the database."
        case pg.TooManyConnectionsError():
            sentence = f"PostgreSQL has no connection left at {place.shown}."
            fix = "A node needs seven: raise max_connections, or stop something else."
        case OSError() | pg.PostgresConnectionError() | pg.CannotConnectNowError():
            sentence = f"PostgreSQL does not answer at {place.shown}."
            fix = "See that it runs and listens there, and what PILLARBOX_DATABASE_URL says."
        case _:
            return mapped(error)
    detail = place.without_secrets(f"{type(error).__name__}: {error}")
    found = StorageTrouble(sentence, detail=detail, fix=fix)
    found.__cause__ = error
    return found


def ensure_new_enough(connection: asyncpg.Connection[asyncpg.Record], place: StoreUrl) -> None:
    """Raises `StorageTrouble` for a PostgreSQL older than the oldest that is used."""
    version = connection.get_server_version()
    if version.major < OLDEST:
        raise StorageTrouble(
            f"{place.shown} is PostgreSQL {version.major}; {OLDEST} or newer is needed.",
            fix="Upgrade it, or name another one.",
        )
