"""a store moves from SQLite to PostgreSQL and back, killed half-way, and nothing is lost or sent twice

A data directory is filled through the storage interface: messages of 1 to 4 KB, most of them settled,
some waiting, some deferred, some in the memory of a process that dies, a few of these under a start
mark. Then ``pillarbox store copy`` moves it to a PostgreSQL with fsync; it is killed with SIGKILL in
the middle of the bodies, and run again.

checksums
    The program compares a SHA-256 of every table on both sides. Beside that, whoever proves this reads
    both databases with statements of his own and compares.
resumed
    The second run goes on behind the rows of the first one, none of which it writes again.
one store
    Killed half-way the target refuses to start. Afterwards the source does.
delivered once
    A node on the PostgreSQL, which logs in at the upstream with the password that was sealed in the
    source, delivers every waiting message exactly once, with the body that was handed over, and no
    other message.
back
    The store is copied from PostgreSQL into a new data directory; the tables of messages and content
    have the same checksums as when they came, the database refuses to start, and the new one starts,
    with nothing to send.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import apsw
import asyncpg

from tests.crash.old_store import AUTHOR, PASSWORD, USERNAME, Filling, fill_store
from tests.crash.relay import IN_CLEAR, PILLARBOX, ROOT, Relay
from tests.doubles.letters import Letters, Sizes
from tests.doubles.postgres import PostgresServer
from tests.doubles.process import Program, clean_environment
from tests.doubles.sink import SinkProcess

NEEDS = ("postgres",)

SEED = 4_099
_DELIVER_SECONDS = 300.0
_COPY_SECONDS = 400.0
_CONFLICT_STATUS = 5
_NODE = "moved"
_ENVIRONMENT = {"PYTHONPATH": str(ROOT / "src")}
_REACHED = "SELECT rows, (SELECT count(*) FROM content), done FROM copying WHERE name = 'content'"
_LOCK = 4_099
_STOPS = f"""
CREATE FUNCTION stops() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF (SELECT count(*) FROM content) > %d THEN PERFORM pg_advisory_lock({_LOCK}); END IF;
     RETURN NULL; END';
CREATE TRIGGER stops AFTER INSERT ON content FOR EACH STATEMENT EXECUTE FUNCTION stops();
"""
_GOES_ON = "DROP TRIGGER stops ON content; DROP FUNCTION stops()"
_WAITS = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {_LOCK} AND NOT granted"
_END = "SELECT pg_terminate_backend($1, 60000)"
_UNSURE = "SELECT count(*) FROM event WHERE kind = 'delivery.uncertain'"
_OWNED = "SELECT count(*) FROM queue WHERE owner > 0 UNION ALL SELECT count(*) FROM started"
_SAME = {
    "message": "SELECT id, app, size, return_path, subject, facts FROM message ORDER BY id",
    "content": "SELECT id, codec, body FROM content ORDER BY id",
    "queue": "SELECT id, owner, lane, state, due, attempts, last_event, recipient FROM queue ORDER BY id",
    "delivery": "SELECT id, state, attempts, at, last_event, recipient FROM delivery ORDER BY id",
    "event": "SELECT seq, at, kind, delivery, previous, data FROM event ORDER BY seq",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    filling: Filling
    killed_at: float = 0.5
    """When so much of the bodies has been written, the last of it not yet committed."""
    smallest_bytes: int = 1024
    largest_bytes: int = 4096


SCALES = {
    "small": Scale(Filling(6000, 300, 40), killed_at=0.4),
    "full": Scale(Filling(100_000, 20_000, 200)),
}


@dataclass(slots=True)
class Found:
    """What was counted on the way."""

    rows_before_kill: int = 0
    uncertain: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    # A short path, which holds a socket, and one that the server's user may enter.
    with tempfile.TemporaryDirectory(prefix="moving-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgresServer(folder / "pg", fsync=True) as server:
            return asyncio.run(_prove(SCALES[size], folder, server))


async def _prove(scale: Scale, folder: Path, server: PostgresServer) -> dict[str, object]:
    found = Found()
    source, node, back = folder / "source", folder / "node", folder / "back"
    options = ("--username", USERNAME, "--password", PASSWORD)
    async with SinkProcess(folder / "sink.jsonl", *options) as sink:
        letters = Letters(
            Sizes(scale.smallest_bytes, scale.largest_bytes), seed=SEED, author=AUTHOR
        )
        began = time.monotonic()
        waiting = await fill_store(scale.filling, source, sink.port, letters)
        found.seconds["filling"] = _since(began)

        url = await _killed_half_way(scale, source, server, found)
        there = await _copied_to_the_end(source, url, found)
        ours = await asyncio.to_thread(_read_sqlite, source)
        theirs = await _read_postgres(url)
        assert ours == theirs, _differing(ours, theirs)
        found.uncertain = (await _say(url, _UNSURE))[0][0]
        assert found.uncertain == scale.filling.owned // 2, found.uncertain
        assert await _say(url, _OWNED) == [(0,), (0,)]
        _refuses("serve", "--data-dir", str(source))

        node.mkdir(mode=0o700)
        shutil.copy2(source / "secret.key", node)
        began = time.monotonic()
        await _deliver(node, url, folder / "node.out", sink, len(waiting))
        found.seconds["delivering"] = _since(began)
        taken = Counter(str(fact["id"]) for fact in sink.taken())
        bodies = {str(fact["id"]): fact["sha256"] for fact in sink.taken()}

        began = time.monotonic()
        again = _copy(url, back, "--data-dir", str(node))
        found.seconds["copying_back"] = _since(began)
        theirs = await _read_postgres(url)
        ours = await asyncio.to_thread(_read_sqlite, back)
        assert ours == theirs, _differing(ours, theirs)
        assert again["secret_key"] == "copied"
        _refuses("serve", "--data-dir", str(node), "--database", url, "--node", _NODE)
        async with Relay(back, folder / "back.out", IN_CLEAR) as relay:
            status = await relay.ask("status")
            await asyncio.to_thread(sink.stop)
        late = len(sink.taken()) - taken.total()

    twice = [name for name, times in taken.items() if times > 1]
    lost = waiting.keys() - taken.keys()
    strangers = taken.keys() - waiting.keys()
    changed = [name for name, digest in bodies.items() if waiting.get(name) != digest]
    assert not lost, f"{len(lost)} were never delivered, as {sorted(lost)[:3]}"
    assert not twice, f"{len(twice)} were delivered twice, as {twice[:3]}"
    assert not strangers, f"{len(strangers)} had been settled before, as {sorted(strangers)[:3]}"
    assert not changed, f"{len(changed)} came with another body, as {changed[:3]}"
    assert not late and not status["queue"]["waiting"], (
        f"{late} were sent from the copy of the copy"
    )
    sums, returned = _sums(there), _sums(again)
    for table in ("message", "content", "app", "server"):
        assert sums[table] == returned[table], f"{table} came back different"
    return {
        "messages": scale.filling.messages,
        "waiting": len(waiting),
        "delivered_once": len(taken) - len(twice),
        "lost": len(lost),
        "delivered_twice": len(twice),
        "sent_though_settled": len(strangers),
        "bodies_changed": len(changed),
        "rows": sum(table["rows"] for table in there["tables"]),
        "rows_of_content_before_the_kill": found.rows_before_kill,
        "uncertain": found.uncertain,
        "tables_there": sums,
        "tables_back": returned,
        "seconds": found.seconds,
        "parameters": asdict(scale) | {"seed": SEED, "fsync": True},
        "versions": {"postgres": str((await _say(url, "SHOW server_version"))[0][0]).split()[0]},
    }


# --- the program ------------------------------------------------------------------------------


async def _killed_half_way(scale: Scale, source: Path, server: PostgresServer, found: Found) -> str:
    """Kill it in the middle of the bodies; gives the database with half a copy.

    A trigger stops the copy at a lock that is held here, inside the transaction that carries it over
    the mark: however fast the machine is, it stands still there.
    """
    url = server.database("moved")
    await _migrate(source.parent, url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_STOPS % int(scale.filling.messages * scale.killed_at))
        await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        began = time.monotonic()
        stopped = await _copy_until_it_stops(source, url, connection)
        found.seconds["copying_until_killed"] = _since(began)
        assert await connection.fetchval(_END, stopped), "the session of the killed copy stays"
        await connection.execute(_GOES_ON)
        (reached, there, done) = (await connection.fetch(_REACHED))[0]
    finally:
        await connection.close()
    assert not done and there, f"void: {there} rows were there when it was killed"
    assert reached == there, f"{there} rows are there, {reached} are noted"
    found.rows_before_kill = there
    return url


async def _migrate(folder: Path, url: str) -> None:
    command = [*PILLARBOX, "migrate", "--data-dir", str(folder / "nowhere")]
    environment = clean_environment() | _ENVIRONMENT | {"PILLARBOX_DATABASE_URL": url}
    subprocess.run(command, env=environment, check=True, capture_output=True)


async def _copy_until_it_stops(source: Path, url: str, connection: asyncpg.Connection[Any]) -> int:
    """Copy, and kill it where it waits for the lock; gives the session that waits."""
    command = [*PILLARBOX, "store", "copy", _url(source), url, "--json"]
    program = Program(command, output=source.parent / "copy.out", env=_ENVIRONMENT)
    deadline = time.monotonic() + _COPY_SECONDS
    program.launch()
    while (stopped := await connection.fetchval(_WAITS)) is None:
        assert program.running, f"void: it was never killed\n{program.text()[-2000:]}"
        assert time.monotonic() < deadline, f"void: it never came so far\n{program.text()[-2000:]}"
        await asyncio.sleep(0.02)
    program.kill()
    return int(stopped)


async def _copied_to_the_end(source: Path, url: str, found: Found) -> dict[str, Any]:
    """Go on; gives what it said at the end."""
    target = source.parent / "too-early"
    target.mkdir()
    shutil.copy2(source / "secret.key", target)
    _refuses("serve", "--data-dir", str(target), "--database", url)
    # It has begun a life all the same. A copy is refused until that is over; it need not be waited for.
    await _say(url, "UPDATE incarnation SET until = 1")
    began = time.monotonic()
    told = _copy_lines(_url(source), url)
    found.seconds["copying_the_rest"] = _since(began)
    finished = told[-1]
    assert finished["complete"] and finished["resumed"], finished
    first = next(t for t in told if (t["word"], t["table"]) == ("copying", "content"))
    assert first["rows"] > found.rows_before_kill, "it began the bodies again"
    return finished


def _url(folder: Path) -> str:
    return f"sqlite://{folder}/pillarbox.db"


def _copy(source: object, target: object, *more: str) -> dict[str, Any]:
    return _copy_lines(source, target, *more)[-1]


def _copy_lines(source: object, target: object, *more: str) -> list[dict[str, Any]]:
    command = [*PILLARBOX, "store", "copy", str(source), str(target), "--json", *more]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(_ENVIRONMENT),
        timeout=_COPY_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


async def _deliver(node: Path, url: str, output: Path, sink: SinkProcess, count: int) -> None:
    """Until nothing waits any more, and then stop in order."""

    def on_database(command: Sequence[str]) -> list[str]:
        return [*command, "--database", url, "--node", _NODE]

    relay = Relay(node, output, IN_CLEAR, wrap=on_database)
    async with relay:
        await relay.until(lambda: len(sink.taken()) >= count, seconds=_DELIVER_SECONDS)
        while await _say(url, "SELECT 1 FROM queue LIMIT 1"):
            await asyncio.sleep(0.05)
        status = await asyncio.to_thread(relay.stop)
    assert status == 0, relay.text()[-2000:]


def _refuses(*command: str) -> None:
    words = [*PILLARBOX, *command]
    done = subprocess.run(
        words, capture_output=True, text=True, env=clean_environment(_ENVIRONMENT), timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == _CONFLICT_STATUS, f"{words}: {done.returncode}\n{done.stderr[-2000:]}"
    assert "store_moved" in done.stderr, done.stderr[-2000:]


# --- what both sides hold, read by somebody else ----------------------------------------------


def _read_sqlite(folder: Path) -> dict[str, str]:
    flags = apsw.SQLITE_OPEN_READONLY
    with closing(apsw.Connection(str(folder / "pillarbox.db"), flags=flags)) as connection:
        return {name: _digest(connection.execute(sql)) for name, sql in _SAME.items()}


async def _read_postgres(url: str) -> dict[str, str]:
    found = {}
    for name, sql in _SAME.items():
        found[name] = await asyncio.to_thread(_digest, iter(await _say(url, sql)))
    return found


async def _say(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def _digest(rows: Iterator[Any]) -> str:
    digest, count = hashlib.sha256(), 0
    for row in rows:
        digest.update(repr(tuple(row)).encode())
        count += 1
    return f"{count} {digest.hexdigest()}"


def _differing(ours: dict[str, str], theirs: dict[str, str]) -> str:
    return "; ".join(f"{n}: {ours[n]} and {theirs[n]}" for n in ours if ours[n] != theirs[n])


def _sums(finished: dict[str, Any]) -> dict[str, str]:
    return {t["name"]: f"{t['rows']} rows, {t['sha256'][:16]}" for t in finished["tables"]}


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
