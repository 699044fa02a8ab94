"""one PostgreSQL statement for all rows of a group: arrays unnested, tables woven together

A round trip, a parse and a plan cost more than a row. So every statement of a batch takes its rows
as arrays, and those that touch different tables are woven into one with common table expressions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pillarbox.storage.engine import Row, Value

_PARAMETER: Final = re.compile(r"\$(\d+)")
_VALUES: Final = re.compile(r"VALUES \((\$1(?:, \$\d+)*)\)")
_DELETE: Final = re.compile(r"^DELETE FROM \w+ WHERE \w+ = \$1$")

APART: Final = frozenset(
    {"queue.defer", "queue.hold_back", "queue.set_last_event", "problem.note", "tls.count"}
)
"""They may write a row twice in one group, and one statement writes a row only once."""


@dataclass(frozen=True, slots=True)
class Woven:
    """Some statements of a batch as one."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, rows: Mapping[str, Sequence[Row]]) -> list[Sequence[Value]]:
        """One array for each column, statement by statement."""
        return [column for name in self.names for column in zip(*rows[name], strict=True)]


def unnested(sql: str, types: Sequence[str]) -> str | None:
    """`sql` with an array for each of its parameters; None for what has no such form.

    Inserts with one row of ``VALUES``, and deletes by one column, have it.
    """
    if insert := _VALUES.search(sql):
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, 1))
        return f"{sql[: insert.start()]}SELECT * FROM unnest({arrays}){sql[insert.end() :]}"
    if _DELETE.match(sql):
        return sql.replace("= $1", f"= ANY($1::{types[0]}[])")
    return None


def weave(names: Sequence[str], arrays: Mapping[str, str], widths: Mapping[str, int]) -> Woven:
    """The unnested statements of these names as one; all see the same rows, none what others write."""
    parts: list[str] = []
    before = 0
    for name in names:
        shift = before

        def moved(match: re.Match[str], shift: int = shift) -> str:
            return f"${int(match[1]) + shift}"

        parts.append(_PARAMETER.sub(moved, arrays[name]))
        before += widths[name]
    leading = ", ".join(f"s{n} AS ({part})" for n, part in enumerate(parts))
    return Woven(f"WITH {leading} SELECT 1", tuple(names))
