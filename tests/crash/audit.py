"""who had what and when, written down by the database itself and read through afterwards

Triggers on a running database note every change of a life, a lease, a start mark and a waiting
delivery, with the session that made it. `faults` goes through it in the order in which it was
committed and names whatever two nodes had at once, or one did with what was another's:

* a shard or a delivery goes to another node only when it was free, or its owner's life had ended;
* a life is ended by another one only when its time is over by the clock of the database, and after
  that it writes nothing;
* what is marked, settled or put off is the writer's: it owns the row or leases its shard;
* a shard is let go of only when nothing of it is on its way.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.crash.cluster_ledger import look_at, say

_SHARD: Final = 22
_SHARDS: Final = 8
_MOST_EXAMPLES: Final = 10

_TABLE: Final = """
CREATE TABLE audited (
    n    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    work TEXT NOT NULL DEFAULT pg_current_xact_id()::text,
    at   TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    pid  BIGINT NOT NULL DEFAULT pg_backend_pid(),
    what TEXT NOT NULL,
    key  BIGINT NOT NULL,
    lane BIGINT NOT NULL DEFAULT 0,
    was  BIGINT NOT NULL DEFAULT 0,
    now  BIGINT NOT NULL DEFAULT 0,
    more BYTEA NOT NULL DEFAULT ''
)
"""
_NOTES: Final = {
    ("incarnation", "INSERT"): "(what, key, now) VALUES ('life', new.id, new.until)",
    ("incarnation", "UPDATE"): """(what, key, lane, was, now)
        VALUES (CASE WHEN new.ended_at IS NULL THEN 'sign'
                     WHEN old.ended_at IS NULL THEN 'end' ELSE 'recovered' END,
                new.id, new.recovered, old.until, coalesce(new.ended_at, new.until))""",
    ("lease", "INSERT"): "(what, key, lane, now) VALUES ('lease', new.shard, new.lane, new.owner)",
    ("lease", "UPDATE"): """(what, key, lane, was, now)
        VALUES ('lease', new.shard, new.lane, old.owner, new.owner)""",
    ("queue", "INSERT"): "(what, key, lane, now) VALUES ('born', new.id, new.lane, new.owner)",
    ("queue", "UPDATE"): """(what, key, lane, was, now)
        VALUES ('moved', new.id, new.lane, old.owner, new.owner)""",
    ("queue", "DELETE"): "(what, key, lane, was) VALUES ('gone', old.id, old.lane, old.owner)",
    ("started", "INSERT"): """(what, key, now, more)
        VALUES ('mark', new.seq, new.owner, new.ids)""",
    ("started", "DELETE"): "(what, key, was) VALUES ('unmark', old.seq, old.owner)",
}
_AS_IT_STANDS: Final = (
    # Whose a session is shows by the lock of its node; see docs/queue.md.
    "INSERT INTO audited (what, key, now, pid) SELECT 'known', i.id, i.until, coalesce(l.pid, 0) "
    "FROM incarnation i LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = 7367020 "
    "AND l.objid::bigint = i.number AND l.objsubid = 2 AND l.granted "
    "WHERE i.ended_at IS NULL ORDER BY i.id",
    "INSERT INTO audited (what, key, lane, now) SELECT 'leased', shard, lane, owner FROM lease",
    "INSERT INTO audited (what, key, lane, now) SELECT 'waits', id, lane, owner FROM queue",
)

# Within one transaction: a life before what it takes, a birth before its mark, a mark before the
# settlement. Statements woven into one leave no order of their own.
_RANK: Final = {
    "known": 0, "leased": 0, "waits": 0, "life": 0, "sign": 0, "end": 0, "recovered": 0, "lease": 1,
    "born": 2, "mark": 3, "moved": 4, "gone": 4, "unmark": 5,
}  # fmt: skip
_OF_LIVES: Final = ("known", "life", "sign", "end", "recovered")


def install(url: str) -> None:
    """Before the first mail; while it runs there must be one node at least."""
    statements = [_TABLE]
    for (table, event), note in _NOTES.items():
        name = f"audit_{table}_{event.lower()}"
        statements += [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"INSERT INTO audited {note}; RETURN NULL; END $$",
            f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ]
    say(url, *statements, *_AS_IT_STANDS)


@dataclass(slots=True)
class Audit:
    """What was gone through, and what was found."""

    changes: int = 0
    leases_taken: int = 0
    leases_released: int = 0
    """By their owner, while it lived."""
    lives: int = 0
    ended_by_others: int = 0
    """Lives that gave no sign in time."""
    freed: int = 0
    """Deliveries and shards freed after their owner's end."""
    settled_from_memory: int = 0
    settled_from_shards: int = 0
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def numbers(self) -> dict[str, int]:
        """All that was counted."""
        return {
            "changes": self.changes,
            "lives": self.lives,
            "ended_by_others": self.ended_by_others,
            "leases_taken": self.leases_taken,
            "leases_released": self.leases_released,
            "freed_after_their_owners_end": self.freed,
            "settled_from_memory": self.settled_from_memory,
            "settled_from_shards": self.settled_from_shards,
            "had_by_two": sum(self.kinds.values()),
        }


def read(url: str) -> Audit:
    """Go through all that was noted."""
    with look_at(url) as ledger:
        rows = ledger.rows("SELECT n, work, at, pid, what, key, lane, was, now, more FROM audited")
    return go_through(rows)


def go_through(rows: Sequence[tuple[Any, ...]]) -> Audit:
    """In the order in which they were committed."""
    last: dict[str, int] = {}
    for row in rows:
        last[row[1]] = max(last.get(row[1], 0), row[0])
    walk = _Walk()
    # A row is locked until its transaction is over: whoever comes to it later ends later.
    for row in sorted(rows, key=lambda row: (last[row[1]], _RANK[row[4]], row[0])):
        walk.step(row)
    return walk.found


class _Walk:
    """What stands where, change by change."""

    def __init__(self) -> None:
        self.found = Audit()
        self._life_of: dict[int, int] = {}
        """Which life a session writes for."""
        self._living: set[int] = set()
        self._ended: dict[int, str] = {}
        """By which transaction."""
        self._leases: dict[tuple[int, int], int] = {}
        self._owners: dict[int, int] = {}
        self._lanes: dict[int, int] = {}
        self._marks: dict[int, set[int]] = {}
        self._on_the_way: dict[int, tuple[int, int]] = {}
        """Deliveries under a mark and not settled since: by whom, and under which."""
        self._freed: dict[int, str] = {}
        """Deliveries of lives that had ended, and in which transaction they became free."""

    def step(self, row: tuple[Any, ...]) -> None:
        """One change."""
        _, work, at, pid, what, key, lane, was, now, more = row
        self.found.changes += 1
        writer = self._life_of.get(pid, 0)
        if self._ended.get(writer, work) != work and what not in _OF_LIVES:
            self._fault("an ended life writes", f"{what} {key} by {writer} at {at}")
        match what:
            case "known" | "life" | "sign":
                self._lives(what, key, pid)
            case "end" | "recovered":
                self._end(key, work, was, now, lane, at)
            case "leased":
                self._leases[lane, key] = now
            case "lease":
                self._lease((lane, key), was, now, writer, at)
            case "waits" | "born":
                self._owners[key], self._lanes[key] = now, lane
                if what == "born" and now > 0 and now != writer:
                    self._fault("born as another's", f"{key} of {now} by {writer} at {at}")
            case "moved" | "gone":
                self._settled(key, was, now, writer, what, work, at)
            case "mark":
                self._mark(key, now, writer, more, at)
            case "unmark":
                for delivery in self._marks.pop(key, ()):
                    if self._on_the_way.get(delivery, (0, 0))[1] == key:
                        del self._on_the_way[delivery]

    def _lives(self, what: str, life: int, pid: int) -> None:
        if what == "life":
            self.found.lives += 1
        if what == "sign" and life in self._ended:
            self._fault("a life goes on after its end", str(life))
        self._life_of[pid] = life
        self._living.add(life)

    def _end(self, life: int, work: str, until: int, now: int, recovered: int, at: object) -> None:
        if life in self._ended:
            return
        self._ended[life] = work
        self._living.discard(life)
        # Recovered at once: by itself when it leaves, or by its next life, which has its place.
        if not recovered:
            self.found.ended_by_others += 1
            if now < until:
                self._fault("ended before its time", f"{life}, {until - now} ms early, at {at}")

    def _lease(self, shard: tuple[int, int], was: int, now: int, writer: int, at: object) -> None:
        told = f"lane {shard[0]} shard {shard[1]}: {was} to {now} by {writer} at {at}"
        known = self._leases.get(shard, 0)
        self._leases[shard] = now
        if known != was:
            self._fault("a lease changed unseen", f"{told}, was {known}")
        if was > 0 and now > 0 and was != now:
            self._fault("a shard from one to another", told)
        if now > 0:
            self.found.leases_taken += 1
            if now != writer or now in self._ended:
                self._fault("a shard leased for another", told)
            return
        if was in self._ended:
            self.found.freed += 1
        elif was > 0:
            self.found.leases_released += 1
            if was != writer:
                self._fault("a living node's shard was freed", told)
            open_still = [
                delivery
                for delivery, (by, _) in self._on_the_way.items()
                if by == was and self._owners.get(delivery) == 0 and self._shard(delivery) == shard
            ]
            if open_still:
                self._fault("a shard was let go of with mail on its way", f"{told}: {open_still}")

    def _settled(
        self, delivery: int, was: int, now: int, writer: int, what: str, work: str, at: object
    ) -> None:
        told = f"delivery {delivery}: {was} to {now} by {writer} at {at}"
        known = self._owners.get(delivery, 0)
        if known != was:
            self._fault("a delivery changed unseen", f"{told}, was {known}")
        if was > 0 and now > 0 and was != now:
            self._fault("a delivery from one to another", told)
        if was in self._ended:
            self.found.freed += 1
            self._freed[delivery] = work
        elif was > 0:
            self.found.settled_from_memory += 1
            if was != writer:
                self._fault("a living node's delivery was settled by another", told)
        elif was == 0 and self._freed.get(delivery) != work:
            # What was freed a moment ago is called uncertain in the same transaction.
            leased_by = self._leases.get(self._shard(delivery), 0)
            self.found.settled_from_shards += leased_by == writer
            if leased_by != writer and (leased_by in self._living or what == "gone"):
                self._fault("settled without a lease", f"{told}, leased by {leased_by}")
        self._on_the_way.pop(delivery, None)
        if what == "gone":
            del self._owners[delivery], self._lanes[delivery]
            self._freed.pop(delivery, None)
        else:
            self._owners[delivery] = now

    def _mark(self, mark: int, owner: int, writer: int, packed: bytes, at: object) -> None:
        deliveries = [number for (number,) in struct.iter_unpack("<q", packed)]
        self._marks[mark] = set(deliveries)
        if owner != writer:
            self._fault("marked for another", f"mark {mark} of {owner} by {writer} at {at}")
        for delivery in deliveries:
            told = f"delivery {delivery}, mark {mark} by {writer} at {at}"
            held_by = self._owners.get(delivery)
            if held_by == 0:
                held_by = self._leases.get(self._shard(delivery), 0)
            if held_by != writer:
                self._fault("marked without having it", f"{told}, had by {held_by}")
            by = self._on_the_way.get(delivery, (writer, 0))[0]
            if by != writer and by not in self._ended:
                self._fault("on its way from two nodes", f"{told}, and by {by}")
            self._on_the_way[delivery] = (writer, mark)

    def _shard(self, delivery: int) -> tuple[int, int]:
        return self._lanes.get(delivery, 0), delivery >> _SHARD & (_SHARDS - 1)

    def _fault(self, kind: str, told: str) -> None:
        self.found.kinds[kind] += 1
        if self.found.kinds[kind] <= _MOST_EXAMPLES:
            self.found.faults.append(f"{kind}: {told}")
