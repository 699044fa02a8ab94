"""what PostgreSQL and its driver raise, as what storage raises"""

from __future__ import annotations

import asyncpg
from asyncpg import exceptions as pg

from pillarbox.storage.interface.errors import (
    Conflict,
    NodeRunning,
    StorageFull,
    StorageTrouble,
    Unstorable,
)
from pillarbox.terms.errors import PillarboxError


def mapped(error: BaseException) -> PillarboxError:
    """The one door through which PostgreSQL's errors become ours.

    What says that the database is away, restarting, read-only or busy is trouble: nothing was
    committed, or nobody knows, and whoever asked comes again.
    """
    match error:
        case PillarboxError():
            found: PillarboxError = error
        case pg.UniqueViolationError() if _is_of_events(error):
            found = StorageTrouble(detail=str(error))
        case pg.UniqueViolationError():
            found = Conflict(detail=str(error))
        case pg.DiskFullError():
            found = StorageFull(detail=str(error))
        case (
            pg.DataError()
            | asyncpg.DataError()
            | pg.IntegrityConstraintViolationError()
            | pg.ProgramLimitExceededError()
            | pg.DatatypeMismatchError()
            | OverflowError()
            | UnicodeError()
            | TypeError()
            | ValueError()
        ):
            found = Unstorable(detail=f"{type(error).__name__}: {error}")
        case _:
            found = StorageTrouble(detail=f"{type(error).__name__}: {error}")
    if found is not error:
        found.__cause__ = error
    return found


def speaks_of_all(error: BaseException) -> bool:
    """Whether it concerns everything that would be asked now, and not what was asked alone."""
    if isinstance(error, pg.QueryCanceledError | ValueError):
        return False
    if isinstance(error, pg.UniqueViolationError):
        # The numbers of events are ours: that one is taken says that we count from a wrong one.
        return _is_of_events(error)
    return isinstance(
        error,
        OSError
        | StorageTrouble
        | NodeRunning
        | asyncpg.InterfaceError
        | pg.PostgresConnectionError
        | pg.OperatorInterventionError
        | pg.InsufficientResourcesError
        | pg.ReadOnlySQLTransactionError,
    )


def _is_of_events(error: pg.UniqueViolationError) -> bool:
    """The key of the log, which each of its weeks has under a name of its own."""
    name = error.constraint_name or ""
    return name.startswith("event_") and name.endswith("_pkey")
