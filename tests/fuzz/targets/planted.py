"""a target with what the others must not have: to see that it is found, and told"""

from __future__ import annotations

import time

from tests.fuzz.targets import Target

ROOM_BYTES = 1 << 29


def run(data: bytes) -> None:
    """Three words, three kinds of trouble."""
    assert b"crash" not in data
    while b"hang" in data:
        time.sleep(0.1)
    if b"grow" in data:
        room = bytearray(ROOM_BYTES)
        room[:: 1 << 12] = b"x" * (ROOM_BYTES >> 12)
        time.sleep(30)


TARGET = Target(run, lambda: [b"nothing"], (b"nothing",), 40)
