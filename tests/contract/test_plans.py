"""statements find what they look for through an index, however much the tables hold

Both engines are asked how they would go about each statement, and then watched doing it. Every
statement is named here: those that look something up, with the indexes they must use; those that
read a table from end to end, with the reason. PostgreSQL plans a statement for the parameters it is
given at first, and later once for all; both plans are looked at, and a third kind that was made
while the tables were empty: a connection keeps such a plan until the server's next sweep, and a
queue may grow by a hundred thousand in the meantime.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import asyncpg
import pytest

from pillarbox.storage.connection import connect
from pillarbox.storage.engine import RANK
from pillarbox.storage.open import open_storage
from pillarbox.storage.postgres_session import connected
from pillarbox.storage.queries import load_queries
from pillarbox.storage.weaving import APART, unnested
from pillarbox.terms.ids import first_message_at
from tests.bench.filled import APP, Dialect, Filling, Tongue, fill_sqlite, statements
from tests.bench.plans import Argument, Keys, Seen, SqliteEyes, execute, keys_of, prepare, see
from tests.contract.post import HOUR, NOW
from tests.doubles.postgres import PostgresServer
from tests.proofs import claim_cost

ROWS = 20_000
"""In each table that grows."""
MOST_ROWS = 1000
"""What a look-up may read; whoever reads a table from end to end reads twenty times as much."""
MOST_STEPS = 25_000
"""Of SQLite's machine; reading a table from end to end takes twice as many at least."""
PAGE = 100
_UNTIL_PLANNED_FOR_ALL = 7
"""After five uses PostgreSQL may keep a plan for all parameters."""
FILLING = Filling(
    rows=ROWS, begin_ms=NOW, now_ms=NOW, lanes=5, due=10_000, apart_ms=40_001, node=1, held=2000
)  # fmt: skip
"""Ten days, so that several weeks of PostgreSQL have rows; two thousand due in each lane."""

MESSAGE = first_message_at(NOW + 100 * FILLING.apart_ms) | 1
FIRST = MESSAGE << 10
DELIVERY = FIRST | 1
LAST = FIRST | 1023
LATEST = 1 << 52
CREDENTIAL, KEY, SERVER, USER, OWNER = b"crd7", b"key7", b"srv7", b"usr7", 1
SHARDS = ",".join(map(str, range(8)))
LEASES = "1:0,2:1,3:7"


@dataclass(frozen=True, slots=True)
class LookUp:
    """A statement that must not read more than it gives."""

    parameters: tuple[Argument, ...]
    indexes: tuple[str, ...]
    """By name; what belongs to a key as TABLE(COLUMN, COLUMN)."""
    sqlite: tuple[str, ...] | None = None
    """Where they differ there."""


def by(*indexes: str, of: tuple[Argument, ...] = (), sqlite: Sequence[str] | None = None) -> LookUp:
    """Through these indexes, with these parameters."""
    return LookUp(of, indexes, None if sqlite is None else tuple(sqlite))


LOOK_UPS: dict[str, LookUp] = {
    # acceptance and settlement
    "upload.delete": by("upload(message)", of=(MESSAGE,)),
    "content.delete_range": by("content(id)", of=(FIRST, LAST)),
    "queue.delete": by("queue(id)", of=(DELIVERY,)),
    "started.delete": by("started(seq)", of=(7,)),
    "queue.defer": by("queue(id)", of=(DELIVERY, "queued", NOW, 1, 0, 7)),
    "queue.hold_back": by("queue(id)", "message(id)", of=(DELIVERY, 1, 0, 7)),
    "queue.set_last_event": by("queue(id)", of=(DELIVERY, 7)),
    "server.error": by("server(id)", of=(SERVER,)),
    "server.fine": by("server(id)", of=(SERVER,)),
    "obligation.pay": by("obligation(id)", of=(7,)),
    "obligation.drop": by("obligation(id)", of=(7,)),
    "obligation.due": by("obligation(id)", of=(0, NOW, PAGE)),
    "idempotency.find": by("idempotency(scope, key)", of=(APP, b"key7")),
    "idempotency.find_each": by("idempotency(scope, key)", of=(APP, b"k" * 16 * 50)),
    "idempotency.record_each": by(of=(APP, b"k" * 16, MESSAGE, NOW)),
    # claiming
    "queue.heads": by("queue_waiting", of=()),
    "queue.claim": by("queue_waiting", of=(2, 0, 0, NOW, PAGE)),
    "queue.claim_of_shards": by("queue_waiting", of=(2, 0, 0, NOW, PAGE, SHARDS)),
    "queue.to_mark": by("queue(id)", of=(DELIVERY,)),
    "message.many": by("message(id)", of=(MESSAGE,)),
    "lane.find": by("lane(app, route, destination)", of=(APP, "filled", "d3")),
    "lease.add": by(of=(LEASES,)),
    "lease.take": by("lease(lane, shard)", of=(LEASES, OWNER)),
    "lease.release": by("lease(lane, shard)", of=(LEASES, OWNER)),
    # looking at what waits, and operating on it
    "queue.one": by("queue(id)", of=(DELIVERY,)),
    "queue.of_message": by("queue(id)", of=(FIRST, LAST)),
    "queue.page": by("queue(id)", of=(0, PAGE)),
    "queue.oldest": by("queue(id)", of=()),
    "queue.make_due": by("queue(id)", of=(DELIVERY, NOW)),
    "queue.release": by("queue(id)", of=(DELIVERY, NOW)),
    "queue.hold": by("queue(id)", "message(id)", of=(DELIVERY,)),
    "queue.cancel": by("queue(id)", of=(DELIVERY,)),
    "queue.move": by("queue(id)", of=(DELIVERY, 3, NOW)),
    "queue.put_back": by("queue(id)", of=(DELIVERY, OWNER)),
    "lane.of_app": by("lane(app, route, destination)", of=(APP, "filled")),
    "queue.count_waiting": by("queue_waiting", of=(2, PAGE)),
    "lane.pause": by("lane(id)", of=(3, NOW)),
    "lane.resume": by("lane(id)", of=(3,)),
    "queue.end_message": by("queue(id)", of=(FIRST, LAST)),
    "queue.expired": by("queue_held", of=(NOW, PAGE)),
    "recover.mark": by("queue(id)", "message(id)", of=(DELIVERY,)),
    # messages, their content and their history
    "message.one": by("message(id)", of=(MESSAGE,)),
    "message.newest": by("message(id)", of=(LATEST, 0, PAGE)),
    "message.highest": by("message(id)", of=()),
    "event.highest": by("event(node, seq)", of=(), sqlite=["event(seq)"]),
    "delivery.of_message": by("delivery(id)", of=(FIRST, LAST)),
    "delivery.one": by("delivery(id)", of=(DELIVERY,)),
    "content.of_message": by("content(id)", of=(FIRST, LAST)),
    "content.block": by("content(id)", of=(FIRST,)),
    "event.after": by("event(node, seq)", of=(MESSAGE, PAGE), sqlite=["event(seq)"]),
    "event.position": by("event(node, seq)", of=(), sqlite=[]),
    "event.newest": by("event(node, seq)", of=(LATEST, PAGE), sqlite=["event(seq)"]),
    "event.one": by("event(node, seq)", of=(MESSAGE,), sqlite=["event(seq)"]),
    "event.highest_of_node": by("event(node, seq)", of=(1,)),
    "session.one": by("session(id)", of=(MESSAGE,)),
    "session.highest": by("session(id)", of=()),
    # retention
    "content.old": by("content(id)", "queue(id)", of=(FIRST, PAGE)),
    "content.oldest": by("content(id)", of=()),
    "content.delete": by("content(id)", of=(FIRST,)),
    "message.old": by("message(id)", "queue(id)", of=(MESSAGE, PAGE)),
    "message.delete": by("message(id)", of=(MESSAGE,)),
    "delivery.delete_range": by("delivery(id)", of=(FIRST, LAST)),
    "upload.oldest": by("upload(message)", of=()),
    "event.delete_before": by(
        "event(node, seq)", of=(MESSAGE, NOW + HOUR, PAGE), sqlite=["event(seq)"]
    ),
    "session.delete_before": by("session(id)", of=(MESSAGE, NOW + HOUR, PAGE)),
    "idempotency.delete_before": by("idempotency_at", of=(NOW - HOUR, PAGE)),
    # accounts, apps, servers, credentials, keys
    "app.delete": by("app(id)", of=(b"app7",)),
    "server.delete": by("server(id)", of=(SERVER,)),
    "server.delete_of_app": by("server(app, name)", of=(b"app7",)),
    "credential.by_username": by(
        "credential(username)",
        "credential(former_username)",
        of=("nobody",),
        sqlite=["credential(username)", "credential_former"],
    ),
    "credential.one": by("credential(id)", of=(CREDENTIAL,)),
    "credential.delete": by("credential(id)", of=(CREDENTIAL,)),
    "credential.used": by("credential(id)", of=(CREDENTIAL, NOW, None, None)),
    "key.by_hash": by("key(secret_hash)", of=(b"hash7",)),
    "key.one": by("key(id)", of=(KEY,)),
    "key.delete": by("key(id)", of=(KEY,)),
    "key.used": by("key(id)", of=(KEY, NOW)),
    # TLS
    "tls.policy": by("sts_policy(domain)", of=("name7", NOW)),
    "tls.of_day": by("tls_session_day", of=(7,)),
    "tls.of_domain": by("tls_session_day", of=(7, "name7")),
    "tls.reported": by("tls_session_day", of=(7, "name7")),
    "tls.trim_sessions": by("tls_session_day", of=(3,)),
    "domain.one": by("domain(id)", of=(b"dom7",)),
    "domain.look_at": by("domain(id)", of=(b"dom7", NOW)),
    "domain.checked": by("domain(id)", of=(b"dom7", NOW, b"")),
    "domain.delete": by("domain(id)", of=(b"dom7",)),
    "dkim.of_domain": by("dkim_key(domain, selector)", of=(b"dom7",)),
    "dkim.secret": by(
        "domain(name)",
        "dkim_key(domain, selector)",
        of=("name7", "s1"),
        sqlite=["domain_proved", "dkim_key(domain, selector)"],
    ),
    "dkim.change": by("dkim_key(domain, selector)", of=(b"dom7", "s1", "active", b"")),
    "dkim.delete": by("dkim_key(domain, selector)", of=(b"dom7", "s1")),
    "dkim.delete_of_domain": by("dkim_key(domain, selector)", of=(b"dom7",)),
    "person.one": by("person(id)", of=(USER,)),
    "person.by_email": by("person(email)", of=("user7@example.test",)),
    "person.used": by("person(id)", of=(USER, "hash7", NOW)),
    "person.delete": by("person(id)", of=(USER,)),
    "token.save": by("person(id)", of=(b"new", USER, NOW, NOW + HOUR, "hash7")),
    "token.trim": by("token_person", of=(USER, 99)),
    "token.one": by("token(hash)", of=(b"token7",)),
    "token.used": by("token(hash)", of=(b"token7", NOW)),
    "token.delete_of_person": by("token_person", of=(USER,)),
    "token.drop": by("token_end", of=(NOW + PAGE,)),
    # tracking
    "image.one": by("image(digest)", of=(b"img7",)),
    "image.used": by("image(digest)", of=(b"img7", NOW)),
    "image.delete": by("image(digest)", of=(b"img7", 0, NOW)),
    "image.unused": by("image_used", of=(1, NOW + PAGE, PAGE)),
    "image.length": by("image_block(digest, n)", of=(b"img7",)),
    "image.blocks": by("image_block(digest, n)", of=(b"img7",)),
    "image.delete_blocks": by("image_block(digest, n)", "image(digest)", of=(b"img7", NOW)),
    "image.orphans": by("image_block_at", "image(digest)", of=(NOW + PAGE, PAGE)),
    "image.address": by("image_address(id)", of=(b"adr7", NOW)),
    "image.drop_addresses": by("image_address_until", of=(NOW + PAGE,)),
    "visit.of_delivery": by("visit(delivery, event)", of=(DELIVERY, PAGE)),
    "visit.delete_before": by("visit(delivery, event)", of=(DELIVERY, PAGE)),
    "visit.unsubscribed": by("unsubscribed(delivery)", of=(DELIVERY,)),
    "visit.forget_unsubscribed": by("unsubscribed(delivery)", of=(DELIVERY, PAGE)),
    "visit.reached": by("message(id)", "delivery(id)", of=(MESSAGE, DELIVERY)),
}
"""With each: the parameters it is tried with."""

READ_WHOLE: dict[str, str] = {
    "queue.depths": "counts what waits in every lane: for people, and now and then for metrics",
    "queue.page_of_lane": "walks the queue by id past other lanes: for people",
    "app.waiting": "looks for mail of an app in the whole queue, before the app is removed",
    "recover.owned": "what a dead process held, once after its death",
    "recover.release": "what a dead process held, once after its death",
    "recover.leases": "what a dead process read, once after its death",
    "recover.clear_started": "as many rows as messages are on their way",
    "tls.trim_policies": "once a day",
    "tls.unreported": "every row of the last two weeks, some times an hour",
    "started.of": "as many rows as messages are on their way",
    "started.others": "as many rows as messages are on their way",
    "upload.of": "as many rows as long messages are arriving",
    "lane.all": "lanes are kept in memory",
    "lane.paused": "as many rows as lanes, once a poll",
    "account.all": "the directory is kept in memory",
    "app.all": "the directory is kept in memory",
    "server.all": "the directory is kept in memory",
    "domain.all": "a list for people",
    "domain.proved": "kept in memory",
    "domain.unproved": "kept in memory",
    "domain.due": "once a minute",
    "domain.waiting": "looks for mail of an account in the whole queue, before a key is removed",
    "dkim.active": "kept in memory",
    "problem.trim": "a thousand rows at most",
    "credential.all": "a list for people",
    "credential.delete_of_app": "once, when the app goes",
    "key.all": "a list for people",
    "person.all": "a list for people",
    "image.weight": "adds up what was fetched, once an hour",
}
"""Statements that read a table from end to end, and why they may."""

SMALL: dict[str, str] = {
    "bucket": "a row for each limit of a rate",
    "spending": "a row for each limit",
    "node": "64 rows at most",
    "incarnation": "a row for each start of a node in the last month",
    "directory": "one row",
    "token_key": "one more with each rotation, and kept in memory",
    "server": "some for each app; their errors are added up with each sign of life",
    "certificate": "a thousand rows at most",
    "acme_account": "a row for each authority",
    "acme_answer": "a row for each host that is being proved",
    "mark": "a row for each thing that is noted once",
    "circuit": "a row for each server that fails",
    "problem": "a thousand rows at most",
    "pg_locks": "the server's own",
    "pg_database": "the server's own",
}
"""Tables in which nobody need look anything up: whatever speaks of no others."""

RARE: dict[str, str] = {
    "queue.make_due": "an operator's",
    "queue.count_waiting": "when a server is tried again, or is back",
    "queue.hold": "an operator's",
    "queue.move": "an operator's",
    "dkim.secret": "once for each key after a change",
    "session.highest": "once at each start",
    "upload.oldest": "once a minute",
    "event.delete_before": "once a minute",
    "session.delete_before": "once a minute",
    "idempotency.delete_before": "once a minute",
    "image.orphans": "once an hour",
    "visit.delete_before": "once a minute",
    "visit.forget_unsubscribed": "once a minute",
}
"""Statements whose plans may be such as fit an empty table until the server has swept: in an empty one
every index is as good as the right one.
"""

UNUSED: dict[Dialect, dict[str, str]] = {
    "sqlite": {},
    "postgres": {
        "queue.claim": "mail is claimed by shards",
        "event.highest": "each node numbers its own",
    },
}
"""Statements that an engine has, and another one is used in their place."""

_TABLES = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO) (?!SET\b|unnest|clock_timestamp|held|filled|taken|head|free)(\w+)"
)


def uninteresting(dialect: Dialect, name: str, sql: str) -> bool:
    """Whether it looks nothing up, or not in a table that grows."""
    inserts = sql.startswith("INSERT") and "SELECT" not in sql
    return inserts or set(_TABLES.findall(sql)) <= SMALL.keys() or name in UNUSED[dialect]


def looked_at(dialect: Dialect) -> dict[str, tuple[str, LookUp]]:
    """The look-ups of an engine: text, and what is expected of it."""
    sql = load_queries(dialect)
    return {
        name: (sql[name], wanted)
        for name, wanted in LOOK_UPS.items()
        if name in sql and name not in UNUSED[dialect]
    }


def _of_sqlite(wanted: LookUp) -> tuple[str, ...]:
    return wanted.indexes if wanted.sqlite is None else wanted.sqlite


def wrong_with(dialect: Dialect, seen: Seen, wanted: LookUp) -> str:
    """Empty where it is as it should be."""
    indexes = wanted.indexes if dialect == "postgres" else _of_sqlite(wanted)
    missing = [index for index in indexes if index not in seen.indexes]
    found = [f"does not use {', '.join(missing)}"] if missing else []
    if seen.rows > MOST_ROWS:
        found.append(f"reads {seen.rows} rows")
    if seen.steps > MOST_STEPS:
        found.append(f"takes {seen.steps} steps")
    if seen.sorts:
        found.append("sorts")
    return f"{'; '.join(found)} -- {seen.text}" if found else ""


Found = dict[str, dict[str, str]]
"""By kind of plan and by statement, what is wrong with it."""


def beside(dialect: Dialect) -> list[str]:
    """Rows of the tables that `tests.bench.filled` leaves empty."""
    say = Tongue(dialect)
    app, digest, number = say.literal(APP), say.literal(b"digest"), "CAST(n AS BIGINT)"
    message = f"({MESSAGE} + {number} * {FILLING.apart_ms << 12})"
    facts = say.literal(b"")

    def named(word: str) -> str:
        return say.octets(f"'{word}' || n")

    return [
        say.into(
            "delivery", "id, state, app, attempts, uncertain, at, last_event, recipient",
            f"{message} << 10 | 2, 'handed_over', {app}, 1, 0, {NOW}, 0, {digest}", ROWS,
        ),
        say.into("session", "id, at, facts", f"{message}, {NOW}, {facts}", ROWS),
        say.into("obligation", "kind, app, delivery, due", f"'notice', {app}, n, {NOW}", ROWS),
        say.into(
            "idempotency", "scope, key, digest, message, at",
            f"{app}, {named('key')}, {digest}, {message}, {NOW} + n", ROWS,
        ),
        say.into("started", "seq, owner, ids", f"n, 1 + n % 2, {digest}", ROWS),
        say.into("upload", "message, owner", f"{message}, 1 + n % 2", ROWS),
        say.into("lease", "lane, shard, owner, epoch", "1 + n / 8, n % 8, 0, 1", ROWS),
        say.into("account", "id, name, facts", f"{named('acc')}, 'name' || n, {facts}", ROWS),
        say.into("app", "id, account, name, facts", f"{named('app')}, {app}, 'name' || n, {facts}",
                 ROWS),
        say.into(
            "server", "id, app, name, errors, facts",
            f"{named('srv')}, {named('app')}, 'name' || n, 0, {facts}", ROWS,
        ),
        say.into(
            "credential", "id, app, name, username, facts",
            f"{named('crd')}, {app}, 'name' || n, 'user' || n, {facts}", ROWS,
        ),
        say.into("sts_policy", "domain, expires_at, facts", f"'name' || n, {NOW}, {facts}", ROWS),
        say.into(
            "tls_session", "id, day, domain, count, reported, facts",
            f"{named('tls')}, n, 'name' || n, 1, 0, {facts}", ROWS,
        ),
        say.into(
            "domain", "id, account, name, proved, facts",
            f"{named('dom')}, {app}, 'name' || n, 1, {facts}", ROWS,
        ),
        say.into(
            "dkim_key", "domain, selector, state, secret, facts",
            f"{named('dom')}, 's1', 'active', {digest}, {facts}", ROWS,
        ),
        say.into(
            "key", "id, account, name, secret_hash, facts",
            f"{named('key')}, {app}, 'name' || n, {named('hash')}, {facts}", ROWS,
        ),
        say.into(
            "person", "id, account, email, secret, facts",
            f"{named('usr')}, {app}, 'user' || n || '@example.test', 'hash' || n, {facts}", ROWS,
        ),
        say.into(
            "token", "hash, person, opened_at, expires_at, used_at",
            f"{named('token')}, {named('usr')}, {NOW} + n, {NOW} + n, {NOW}", ROWS,
        ),
        say.into(
            "image", "digest, media_type, size, hosted, used_at",
            f"{named('img')}, 'image/png', 9, n % 2, {NOW} + n", ROWS,
        ),
        say.into("image_block", "digest, n, at, body", f"{named('img')}, 0, {NOW} + n, {facts}", ROWS),
        say.into("image_address", "id, until_at", f"{named('adr')}, {NOW} + n", ROWS),
        say.into("visit", "delivery, event", f"{message} << 10 | 1, {message}", ROWS),
        say.into("unsubscribed", "delivery", f"{message} << 10 | 1", ROWS),
    ]  # fmt: skip


async def begin(path: Path, database: str = "") -> None:
    """A store with its tables and nothing in them."""
    storage = await open_storage(
        path, now_ms=NOW, on_broken=lambda _: None, database=database, roles=("deliver",)
    )
    await storage.close()


@pytest.fixture(scope="module")
def of_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("plans")
    asyncio.run(begin(folder))
    connection = connect(folder / "pillarbox.db")
    fill_sqlite(connection, FILLING)
    for sql in beside("sqlite"):
        connection.execute(sql)
    eyes = SqliteEyes(connection)
    found: Found = {}
    for kind in ("as it is", "analyzed"):
        if kind == "analyzed":
            connection.execute("ANALYZE")
        found[kind] = {
            name: wrong_with("sqlite", eyes.see(sql, wanted.parameters), wanted)
            for name, (sql, wanted) in looked_at("sqlite").items()
        }
    connection.close()
    return found


@pytest.fixture(scope="module")
def of_postgres(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return asyncio.run(look_at_postgres(server.database(), tmp_path_factory.mktemp("plans")))


_TABLES_OF_IT = """
SELECT array_agg(relname::text) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


async def look_at_postgres(url: str, folder: Path) -> Found:
    """Plans made before, on swept tables for the parameters, and there once for all."""
    await begin(folder, url)
    other = await asyncpg.connect(url)
    keys = await keys_of(other)
    # The server sweeps when it likes, and forgets what it planned before.
    for name in await other.fetchval(_TABLES_OF_IT):
        await other.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
    # A few rows, swept: from now on the server takes the tables for tiny.
    for sql in statements("postgres", replace(FILLING, rows=5, begin_ms=NOW + 1)):
        await other.execute(sql)
    await other.execute("VACUUM (ANALYZE)")
    early = await asked(url)
    for name, (_, wanted) in grouped().items():
        for _ in range(_UNTIL_PLANNED_FOR_ALL):
            await execute(early, name, wanted.parameters)
    for sql in [*statements("postgres", FILLING)[1:], *beside("postgres")]:
        await other.execute(sql)
    found = {"made for empty tables": await all_seen(early, keys)}
    for name in RARE:
        found["made for empty tables"].pop(name)
    await other.execute("VACUUM (ANALYZE)")
    await other.close()
    for kind in ("custom", "generic"):
        connection = await asked(url)
        await connection.execute(f"SET plan_cache_mode = force_{kind}_plan")
        found[kind] = await all_seen(connection, keys)
    return found


async def asked(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """A session as Pillarbox has it, which knows all statements."""
    connection = await connected(url)
    for name, (sql, _) in grouped().items():
        await prepare(connection, name, sql)
    return connection


async def all_seen(connection: asyncpg.Connection[asyncpg.Record], keys: Keys) -> dict[str, str]:
    """What is wrong with each statement."""
    found = {}
    for name, (_, wanted) in grouped().items():
        seen = await see(connection, name, wanted.parameters, keys)
        found[name] = wrong_with("postgres", seen, wanted)
    await connection.close()
    return found


def grouped() -> dict[str, tuple[str, LookUp]]:
    """The look-ups of PostgreSQL, and beside each deletion of a group its form for many rows."""
    found = looked_at("postgres")
    for name in [name for name in RANK if name in found and name not in APART]:
        sql, wanted = found[name]
        if (many := unnested(sql, ["bigint"])) is not None:
            rows = [one_of(name, number) for number in range(PAGE)]
            found[f"{name} many"] = (many, replace(wanted, parameters=(rows,)))
    return found


def one_of(name: str, number: int) -> int:
    """A key that the rows of a group may have."""
    message = MESSAGE + number * (FILLING.apart_ms << 12)
    return message << 10 | 1 if name.startswith("queue") else message


# --- what is promised -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["as it is", "analyzed"])
def test_sqlite_looks_up_what_it_is_asked_for(of_sqlite: Found, kind: str) -> None:
    assert told(of_sqlite[kind]) == ""


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("kind", ["custom", "generic", "made for empty tables"])
def test_postgres_looks_up_what_it_is_asked_for(of_postgres: Found, kind: str) -> None:
    assert told(of_postgres[kind]) == ""


def told(found: dict[str, str]) -> str:
    return "\n".join(f"{name} {wrong}" for name, wrong in sorted(found.items()) if wrong)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_every_statement_is_known_to_look_up_or_to_read_everything(dialect: Dialect) -> None:
    unknown = [
        name
        for name, sql in load_queries(dialect).items()
        if name not in LOOK_UPS and name not in READ_WHOLE and not uninteresting(dialect, name, sql)
    ]
    assert not unknown, "name them in LOOK_UPS, or in READ_WHOLE with a reason"


def test_nothing_is_named_that_is_not_there() -> None:
    there = load_queries("sqlite").keys() | load_queries("postgres").keys()
    assert LOOK_UPS.keys() | READ_WHOLE.keys() <= there
    assert RARE.keys() <= LOOK_UPS.keys()
    assert not LOOK_UPS.keys() & READ_WHOLE.keys()
    for dialect, names in UNUSED.items():
        assert names.keys() <= load_queries(dialect).keys()


def test_whoever_reads_a_whole_table_is_found_out(tmp_path: Path) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, owner INTEGER)")
    for sql in ("INSERT INTO queue SELECT n, n % 2 FROM " + Tongue("sqlite").numbers(ROWS),):
        connection.execute(sql)
    eyes = SqliteEyes(connection)
    good = eyes.see("SELECT owner FROM queue WHERE id = ?1", (7,))
    assert wrong_with("sqlite", good, by("queue(id)")) == ""
    bad = eyes.see("SELECT id FROM queue WHERE owner = ?1 ORDER BY owner + 1", (1,))
    said = wrong_with("sqlite", bad, by("queue(id)"))
    assert "does not use queue(id)" in said and "reads 19999 rows" in said and "sorts" in said


@pytest.mark.slow
@pytest.mark.needs(*claim_cost.NEEDS)
def test_a_claim_reads_no_more_where_more_waits() -> None:
    found = claim_cost.prove("small")
    for dialect in ("sqlite", "postgres"):
        cells = found[dialect]
        assert isinstance(cells, dict) and list(cells) == ["1000", "100000"]
        assert all({"rows_read", "plan"} <= cell["claim"].keys() for cell in cells.values())


@pytest.mark.parametrize("less", ["rows", "steps", "indexes"])
def test_a_claim_that_reads_more_where_more_waits_is_found_out(less: str) -> None:
    seen = Seen(frozenset({"queue_waiting"}), rows=40, steps=400, sorts=0, text="")
    worse = {"rows": {"rows": 81}, "steps": {"steps": 801}, "indexes": {"indexes": frozenset()}}
    few, many = ({"claim": seen}, {"claim": replace(seen, **worse[less])})  # type: ignore[arg-type]
    claim_cost.assert_looked_up(few, few)
    with pytest.raises(AssertionError, match="claim"):
        claim_cost.assert_looked_up(few, many)


def test_memory_that_grows_with_the_queue_is_found_out() -> None:
    megabyte = 2**20
    claim_cost.assert_memory("postgres", 50 * megabyte, 80 * megabyte)
    with pytest.raises(AssertionError, match="81.0 MB"):
        claim_cost.assert_memory("postgres", 50 * megabyte, 81 * megabyte)
