"""what the figures are held against: floors for Pillarbox beside Postfix"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of one cell, and the least it ought to be."""

    cell: str
    figure: str
    least: float
    words: str


TARGETS = (
    Target("1KB-50-kept", "end_to_end_times", 7, "messages a second, 1 KB"),
    Target("10KB-50-kept", "end_to_end_times", 5, "messages a second, 10 KB"),
    Target("100KB-50-kept", "end_to_end_times", 2, "messages a second, 100 KB"),
    Target("10KB-50-kept", "cpu_times", 8, "less CPU a message, 10 KB"),
)


def held_against(
    cells: list[dict[str, Any]], targets: Sequence[Target] = TARGETS
) -> list[dict[str, object]]:
    """Each target whose cell was measured, with the median of paired ratios and whether it is met."""
    measured = {cell["cell"]: cell for cell in cells}
    return [
        {
            "target": target.words,
            "cell": target.cell,
            "figure": target.figure,
            "least": target.least,
            "found": measured[target.cell][target.figure],
            "worst": measured[target.cell][f"{target.figure}_worst"],
            "met": measured[target.cell][target.figure] >= target.least,
        }
        for target in targets
        if target.figure in measured.get(target.cell, {})
    ]


def verdicts(held: list[dict[str, object]]) -> str:
    """The same in words, a line for each."""
    return "\n".join(
        f"{'met    ' if one['met'] else 'NOT MET'}  {one['target']}: {one['found']} times Postfix, "
        f"worst round {one['worst']}, wanted at least {one['least']}"
        for one in held
    )
