"""the reader of the audit: what two nodes must not do is found, what they may do is not"""

from __future__ import annotations

import struct
from typing import Any

from tests.crash.audit import Audit, go_through

ONE, TWO = 101, 102  # sessions of the lives 1 and 2
LANE = 7
A_DELIVERY = (5 << 22) + 1  # waits in shard 5


class Notes:
    """Rows as the triggers write them, each in a transaction of its own unless told otherwise."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.note(ONE, "life", 1, now=1000)
        self.note(TWO, "life", 2, now=1000)

    def note(
        self,
        session: int,
        what: str,
        key: int,
        *,
        lane: int = 0,
        was: int = 0,
        now: int = 0,
        more: bytes = b"",
        work: str = "",
    ) -> None:
        number = len(self.rows) + 1
        self.rows.append(
            (number, work or f"w{number}", number, session, what, key, lane, was, now, more)
        )

    def lease(self, session: int, was: int, now: int) -> None:
        self.note(session, "lease", 5, lane=LANE, was=was, now=now)

    def born(self, session: int, owner: int) -> None:
        self.note(session, "born", A_DELIVERY, lane=LANE, now=owner)

    def mark(self, session: int, owner: int, number: int = 1) -> None:
        packed = struct.pack("<q", A_DELIVERY)
        self.note(session, "mark", number, now=owner, more=packed)

    def gone(self, session: int, was: int) -> None:
        self.note(session, "gone", A_DELIVERY, lane=LANE, was=was)

    def ended(self, life: int, session: int, at: int) -> None:
        self.note(session, "end", life, was=1000, now=at)

    def found(self) -> Audit:
        return go_through(self.rows)


def kinds(notes: Notes) -> list[str]:
    return sorted(notes.found().kinds)


def test_a_shard_that_was_free_in_between_may_go_from_one_to_the_other() -> None:
    notes = Notes()
    notes.born(ONE, 0)
    notes.lease(ONE, 0, 1)
    notes.lease(ONE, 1, 0)
    notes.lease(TWO, 0, 2)
    notes.mark(TWO, 2)
    notes.gone(TWO, 0)
    found = notes.found()
    assert (found.faults, found.leases_taken, found.settled_from_shards) == ([], 2, 1)


def test_what_goes_from_one_to_the_other_without_being_free_is_found() -> None:
    notes = Notes()
    notes.lease(ONE, 0, 1)
    notes.lease(TWO, 1, 2)
    notes.born(ONE, 1)
    notes.note(TWO, "moved", A_DELIVERY, lane=LANE, was=1, now=2)
    assert kinds(notes) == [
        "a delivery from one to another", "a living node's delivery was settled by another",
        "a shard from one to another",
    ]  # fmt: skip


def test_a_shard_let_go_of_with_mail_on_its_way_is_found() -> None:
    notes = Notes()
    notes.born(ONE, 0)
    notes.lease(ONE, 0, 1)
    notes.mark(ONE, 1)
    notes.lease(ONE, 1, 0)
    assert kinds(notes) == ["a shard was let go of with mail on its way"]


def test_who_marks_or_settles_what_another_has_is_found() -> None:
    notes = Notes()
    notes.born(ONE, 0)
    notes.lease(ONE, 0, 1)
    notes.mark(ONE, 1)
    notes.mark(TWO, 2, number=2)
    notes.gone(TWO, 0)
    assert kinds(notes) == [
        "marked without having it", "on its way from two nodes", "settled without a lease",
    ]  # fmt: skip


def test_after_its_owners_end_mail_may_be_freed_and_sent_by_another() -> None:
    notes = Notes()
    notes.born(ONE, 1)
    notes.mark(ONE, 1)
    notes.ended(1, TWO, at=1001)
    notes.note(TWO, "moved", A_DELIVERY, lane=LANE, was=1, now=0, work="recovery")
    notes.note(TWO, "moved", A_DELIVERY, lane=LANE, was=0, now=0, work="recovery")
    notes.lease(TWO, 0, 2)
    notes.mark(TWO, 2, number=2)
    notes.gone(TWO, 0)
    found = notes.found()
    assert (found.faults, found.ended_by_others, found.freed) == ([], 1, 1)


def test_a_life_ended_too_early_or_writing_on_is_found() -> None:
    notes = Notes()
    notes.ended(1, TWO, at=999)
    notes.born(ONE, 1)
    assert kinds(notes) == ["an ended life writes", "ended before its time"]


def test_rows_of_one_transaction_need_no_order_of_their_own() -> None:
    notes = Notes()
    packed = struct.pack("<q", A_DELIVERY)
    notes.note(ONE, "mark", 1, now=1, more=packed, work="both")
    notes.note(ONE, "born", A_DELIVERY, lane=LANE, now=1, work="both")
    assert notes.found().faults == []
