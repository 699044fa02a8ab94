"""one statement for many rows: as few steps of SQLite as a group's rows allow

Between two steps the driver takes the interpreter's lock back, and waits for whoever holds it. A
row a step, a writer spends most of a commit waiting for the loop, and the loop for the writer. So
statements are written out for many rows as well, and a group's rows are taken in such portions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from pillarbox.storage.engine import Row, Value

WIDTHS: Final = (64, 32, *range(16, 1, -1))
"""Rows a step, widest first: two steps for most groups, and few enough forms to stay compiled."""

_ROW: Final = re.compile(r"VALUES \((\?1(?:, \?\d+)*)\)")
_ONE: Final = re.compile(r"^DELETE FROM (\w+) WHERE (\w+) = \?1$")


def widened(sql: str, rows: int) -> str | None:
    """`sql` for that many rows, their values one behind the other; None for what has no such form.

    Inserts with one row of ``VALUES``, and deletes by one column, have it.
    """
    if insert := _ROW.search(sql):
        places = insert[1].count("?")
        row = "(" + ", ".join("?" * places) + ")"
        return f"{sql[: insert.start()]}VALUES {', '.join([row] * rows)}{sql[insert.end() :]}"
    if delete := _ONE.match(sql):
        ids = ", ".join("?" * rows)
        return f"DELETE FROM {delete[1]} WHERE {delete[2]} IN ({ids})"
    return None


class Widening:
    """The wider forms of some statements."""

    def __init__(self, statements: Mapping[str, str]) -> None:
        """`statements` by name, parameters as SQLite numbers them."""
        self._narrow = dict(statements)
        self._wide = {
            name: [(width, wide) for width in WIDTHS if (wide := widened(sql, width)) is not None]
            for name, sql in statements.items()
        }

    def portions(self, name: str, rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[Value]]]:
        """What to run so that the statement is run for every row, in their order."""
        done = 0
        for width, wide in self._wide[name]:
            while len(rows) - done >= width:
                yield wide, tuple(chain.from_iterable(rows[done : done + width]))
                done += width
        narrow = self._narrow[name]
        for row in rows[done:]:
            yield narrow, row
