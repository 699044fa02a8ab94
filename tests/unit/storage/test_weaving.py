"""rows as arrays, statements woven into one"""

from __future__ import annotations

from pillarbox.storage.engine import RANK
from pillarbox.storage.queries import load_queries
from pillarbox.storage.weaving import APART, unnested, weave

SQL = load_queries("postgres")


def test_an_insert_takes_an_array_for_each_column_and_keeps_what_follows() -> None:
    sql = "INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT (a) DO NOTHING"
    assert unnested(sql, ["int8", "bytea"]) == (
        "INSERT INTO t (a, b) SELECT * FROM unnest($1::int8[], $2::bytea[]) "
        "ON CONFLICT (a) DO NOTHING"
    )


def test_a_delete_by_one_column_takes_an_array() -> None:
    assert unnested("DELETE FROM t WHERE id = $1", ["int8"]) == (
        "DELETE FROM t WHERE id = ANY($1::int8[])"
    )


def test_what_has_no_such_form_is_left_alone() -> None:
    assert unnested("UPDATE t SET a = $2 WHERE id = $1", ["int8", "int8"]) is None
    assert unnested("DELETE FROM t WHERE a = $1 AND b = $2", ["int8", "int8"]) is None


def test_woven_statements_count_their_parameters_on() -> None:
    arrays = {
        "one": "INSERT INTO one (a) SELECT * FROM unnest($1::int8[])",
        "two": "INSERT INTO two (a, b) SELECT * FROM unnest($1::int8[], $2::text[])",
        "gone": "DELETE FROM three WHERE id = ANY($1::int8[])",
    }
    woven = weave(["one", "two", "gone"], arrays, {"one": 1, "two": 2, "gone": 1})
    assert woven.sql == (
        "WITH s0 AS (INSERT INTO one (a) SELECT * FROM unnest($1::int8[])), "
        "s1 AS (INSERT INTO two (a, b) SELECT * FROM unnest($2::int8[], $3::text[])), "
        "s2 AS (DELETE FROM three WHERE id = ANY($4::int8[])) "
        "SELECT 1"
    )
    rows = {"one": [(1,), (2,)], "two": [(3, "x")], "gone": [(4,)]}
    assert woven.arguments(rows) == [(1, 2), (3,), ("x",), (4,)]


def test_no_two_statements_of_a_batch_that_are_woven_update_the_same_rows() -> None:
    # One statement writes a row only once, so updates must stay out.
    updates = {name for name in RANK if SQL[name].startswith("UPDATE")}
    woven = {name for name in RANK if unnested(SQL[name], ["int8"] * 20) is not None} - APART
    assert not updates & woven
