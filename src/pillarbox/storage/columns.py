"""columns of a row as the types they are known to have

Engines give untyped values. These read them where the schema says what they are, so that the
stores above stay strictly typed without a cast at every column.
"""

from __future__ import annotations

from pillarbox.storage.engine import Value


def as_int(value: Value) -> int:
    """An integer column; NULL is 0."""
    return value if isinstance(value, int) else 0


def as_bytes(value: Value) -> bytes:
    """A BLOB column; NULL is empty."""
    return value if isinstance(value, bytes) else b""


def as_text(value: Value) -> str:
    """A TEXT column, or a BLOB that holds UTF-8; what is not UTF-8 is replaced."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def as_instant(value: Value) -> int | None:
    """An instant column that may be NULL."""
    return value if isinstance(value, int) else None
