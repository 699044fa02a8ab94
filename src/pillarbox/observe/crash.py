"""named points at which a test may kill this process

A durable hand-over is proved by dying at each of its steps. ``PILLARBOX_CRASH_AT=name:n`` makes the
process end itself with SIGKILL at the n-th passage of a point; unset, a point costs one call of an
empty function. The names are listed in ``docs/queue.md``, in the order in which they are passed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

POINTS: Final = (
    "block-stored",
    "accept-before-insert",
    "accept-before-commit",
    "accept-after-commit",
    "accept-before-reply",
    "started-before-commit",
    "started-after-commit",
    "content-before-dot",
    "content-after-dot",
    "verdict-received",
    "settle-before-commit",
    "settle-after-commit",
    "notice-before-accept",
)


def _ignore(point: str) -> None:
    """The usual case: nobody wants to die here."""


def _killer(wanted: str) -> Callable[[str], None]:
    name, _, count = wanted.partition(":")
    if name not in POINTS:
        raise ValueError(
            f"PILLARBOX_CRASH_AT names no point: {name!r}; there are {', '.join(POINTS)}"
        )
    left = [int(count or "1")]

    def pass_by(point: str) -> None:
        if point == name:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


_wanted = os.environ.get("PILLARBOX_CRASH_AT")
crash_point: Final[Callable[[str], None]] = _killer(_wanted) if _wanted else _ignore
