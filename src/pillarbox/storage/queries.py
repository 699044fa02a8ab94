"""named SQL: loaded from sql/<store>.sql, rewritten for the engine that runs it

Statements are written with ``$1, $2``. SQLite takes ``$n`` for a *name* and binds by first
appearance, so for SQLite they become ``?1, ?2``, which are positions.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: ([a-z_.]+)$", re.MULTILINE)
_PARAMETER: Final = re.compile(r"\$(\d+)")
STORES: Final = (
    "queue", "messages", "events", "directory", "nodes", "limits", "users", "tls", "keys", "images",
    "visits", "domains", "certificates",
)  # fmt: skip


def load_queries(dialect: str) -> dict[str, str]:
    """Every statement by name; ``<store>.<dialect>.sql`` overrides ``<store>.sql`` by name."""
    folder = resources.files("pillarbox.storage") / "sql"
    statements: dict[str, str] = {}
    for store in STORES:
        for name in (f"{store}.sql", f"{store}.{dialect}.sql"):
            source = folder / name
            if source.is_file():
                statements.update(parse_queries(source.read_text(), dialect))
    return statements


def parse_queries(text: str, dialect: str) -> dict[str, str]:
    """Split a file into its named statements. Raises `ValueError` on a name given twice."""
    statements: dict[str, str] = {}
    parts = _NAME.split(text)[1:]
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"the statement {name} is written twice")
        lines = (line for line in body.splitlines() if line and not line.startswith("--"))
        sql = "\n".join(lines).strip()
        statements[name] = _PARAMETER.sub(r"?\1", sql) if dialect == "sqlite" else sql
    return statements
