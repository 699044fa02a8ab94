"""what SQLite raises, as what storage raises"""

from __future__ import annotations

import apsw

from pillarbox.storage.interface.errors import (
    Conflict,
    StorageBroken,
    StorageFull,
    StorageTrouble,
    Unstorable,
)
from pillarbox.terms.errors import PillarboxError


def mapped(error: Exception) -> PillarboxError:
    """The one door through which SQLite's errors become ours."""
    match error:
        case PillarboxError():
            found: PillarboxError = error
        case apsw.FullError():
            found = StorageFull(detail=str(error))
        case apsw.IOError() | apsw.CorruptError() | apsw.NotADBError():
            found = StorageBroken(detail=str(error))
        case apsw.ConstraintError() if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
            found = Conflict(detail=str(error))
        case apsw.ConstraintError() | apsw.TooBigError() | apsw.MismatchError():
            found = Unstorable(detail=str(error))
        case OverflowError() | UnicodeError() | TypeError() | ValueError():
            found = Unstorable(detail=f"{type(error).__name__}: {error}")
        case _:
            found = StorageTrouble(detail=f"{type(error).__name__}: {error}")
    if found is not error:
        found.__cause__ = error
    return found
