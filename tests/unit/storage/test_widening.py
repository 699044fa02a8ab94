"""the wide forms of statements do what the narrow one does, row after row"""

from __future__ import annotations

import apsw
import pytest

from pillarbox.storage.engine import RANK, Row
from pillarbox.storage.queries import load_queries
from pillarbox.storage.widening import WIDTHS, Widening, widened

_STATEMENTS = {
    "put": "INSERT INTO t (id, a) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
    "drop": "DELETE FROM t WHERE id = ?1",
    "move": "UPDATE t SET a = ?2 WHERE id = ?1",
}


@pytest.fixture
def database() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)")
    return connection


def _run(database: apsw.Connection, name: str, rows: list[Row]) -> int:
    steps = 0
    for sql, values in Widening(_STATEMENTS).portions(name, rows):
        database.execute(sql, values)
        steps += 1
    return steps


@pytest.mark.parametrize("count", [*range(1, 35), 63, 64, 65, 96, 256])
def test_every_row_is_written_once_whatever_their_number(
    database: apsw.Connection, count: int
) -> None:
    rows: list[Row] = [(n, bytes([n % 256, 0])) for n in range(count)]
    _run(database, "put", rows)
    assert database.execute("SELECT id, a FROM t ORDER BY id").fetchall() == rows
    _run(database, "drop", [(n,) for n in range(count)])
    assert database.execute("SELECT count(*) FROM t").get == 0


def test_the_first_of_two_rows_with_one_key_stays(database: apsw.Connection) -> None:
    _run(database, "put", [(1, b"first"), (2, b"other"), (1, b"second")])
    assert database.execute("SELECT a FROM t ORDER BY id").fetchall() == [(b"first",), (b"other",)]


def test_what_has_no_wide_form_runs_row_by_row_in_order(database: apsw.Connection) -> None:
    _run(database, "put", [(1, b"a")])
    assert _run(database, "move", [(1, b"b"), (1, b"c"), (1, b"d")]) == 3
    assert database.execute("SELECT a FROM t").get == b"d"


@pytest.mark.parametrize("count, steps", [(1, 1), (16, 1), (17, 2), (64, 1), (80, 2), (128, 2)])
def test_usual_groups_take_one_or_two_steps(
    database: apsw.Connection, count: int, steps: int
) -> None:
    assert _run(database, "put", [(n, b"") for n in range(count)]) == steps


def test_all_that_an_acceptance_and_a_settlement_write_has_a_wide_form() -> None:
    sql = load_queries("sqlite")
    narrow = {name for name in RANK if widened(sql[name], 2) is None}
    assert narrow == {
        "queue.defer", "queue.hold_back", "queue.set_last_event", "server.error", "server.fine",
        "credential.used", "key.used", "tls.count",
        "image.used",
    }  # fmt: skip
    assert max(WIDTHS) * max(sql[name].count("?") for name in RANK) < 32_766
