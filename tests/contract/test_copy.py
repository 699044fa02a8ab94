"""a store copied into another one: all of it, in both directions, killed and gone on with, or refused"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.server import Server
from pillarbox.storage import copy_pass
from pillarbox.storage.copy_postgres import PostgresSide
from pillarbox.storage.copy_tables import Bounds
from pillarbox.storage.copying import copy_store, reopen_store, where_moved
from pillarbox.storage.interface.copying import CopyReport, CopyStep
from pillarbox.storage.interface.errors import (
    BadStoreUrl,
    CopyDiffers,
    NotFound,
    StorageTrouble,
    StoreInUse,
    StoreMoved,
    StoreNotEmpty,
    WrongSecretKey,
)
from pillarbox.storage.interface.events import SessionFacts
from pillarbox.storage.interface.messages import BLOCK_BYTES, MessageFilter
from pillarbox.storage.interface.queue import LaneName
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.store_url import StoreUrl, parse_store_url
from pillarbox.storage.open import open_storage
from pillarbox.terms.ids import delivery_id, message_of, new_object_id
from pillarbox.terms.secret import Secret
from tests.contract.post import HOUR, NOW, Post
from tests.doubles.postgres import PostgresServer
from tests.waited import accept, settle

DIRECTIONS = ["sqlite-postgres", "postgres-sqlite", "postgres-postgres"]
WEEK = 7 * 24 * HOUR
PASSWORD = "correct horse"
SMALL = Bounds(rows=7, bytes=20_000)

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60)]


class Shop:
    """A store to move: where it is, and hands on it."""

    def __init__(self, kind: str, folder: Path, server: PostgresServer) -> None:
        self.folder = folder
        self.database = server.database() if kind == "postgres" else ""
        self.storage: Storage | None = None

    @property
    def url(self) -> StoreUrl:
        return parse_store_url(self.database or str(self.folder))

    async def open(self, name: str = "one") -> Storage:
        self.storage = await open_storage(
            self.folder, now_ms=NOW, on_broken=lambda _: None, database=self.database, node=name,
            roles=("deliver",),
        )  # fmt: skip
        return self.storage

    async def close(self) -> None:
        if self.storage is not None:
            await self.storage.nodes.leave(NOW)
            await self.storage.close()
            self.storage = None

    async def die(self) -> None:
        """Gone without a word, as after kill -9, and long enough ago."""
        assert self.storage is not None
        await self.storage.close()
        self.storage = None
        await self.say("UPDATE incarnation SET until = 1")

    async def say(self, sql: str) -> list[tuple[Any, ...]]:
        if self.database:
            connection = await asyncpg.connect(self.database)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()
        file = apsw.Connection(str(self.folder / "pillarbox.db"))
        try:
            return file.execute(sql).fetchall()
        finally:
            file.close()


def lend_key(shop: Shop, folder: Path) -> None:
    """As an operator gives a node the key of the others."""
    folder.mkdir()
    shutil.copy2(shop.folder / "secret.key", folder)


Make = Callable[[str], Shop]


@pytest.fixture
def make(server: PostgresServer, tmp_path: Path) -> Make:
    made: list[Shop] = []

    def making(kind: str) -> Shop:
        made.append(Shop(kind, tmp_path / f"place-{len(made)}", server))
        return made[-1]

    return making


@pytest.fixture(params=DIRECTIONS)
def pair(request: pytest.FixtureRequest, make: Make) -> tuple[Shop, Shop]:
    source, target = request.param.split("-")
    return make(source), make(target)


@pytest.fixture
def there(make: Make) -> tuple[Shop, Shop]:
    """One direction, where it makes no difference."""
    return make("sqlite"), make("postgres")


async def fill(shop: Shop, messages: int = 60) -> Post:
    """A bit of everything, of several weeks; killed with mail in memory and some of it leaving."""
    storage = await shop.open()
    post = await Post.into(storage)
    server = Server(
        new_object_id(), post.app.id, "relay", "smtp.example.com", username="me",
        password=Secret(PASSWORD),
    )  # fmt: skip
    await storage.directory.save_server(server)
    await storage.queue.lane(LaneName(post.app.id, "servers", "example.org"))
    storage.events.open_session(NOW, SessionFacts(server.id, "smtp.example.com", "192.0.2.1", 587))
    for number in range(messages):
        body = b"Subject: \x00\xff\r\n\r\n" + bytes([number % 256]) * (number * 61)
        message = await post.accept(
            "bob@example.org", "cy@example.net", body=body, at=NOW - number % 3 * WEEK,
            expires_at=NOW + WEEK,
        )  # fmt: skip
        if number % 2:
            await post.settle(delivery_id(message, 1), words="250 fine")
        if number % 5 == 0:
            due = NOW + number
            await post.settle(
                delivery_id(message, 2), State.DEFERRED, due_at=due, words="451 later"
            )
        if number % 10 == 0:
            await storage.queue.hold([delivery_id(message, 1)], NOW, "somebody")
    failed = await post.verdict(delivery_id(post.sent[-1], 2), State.FAILED)
    await settle(storage.queue, post.settlement(failed, owed="failure"))
    # Long content, and some that nobody ever accepted.
    long = storage.queue.next_message_id(NOW)
    await storage.queue.store_block(long, 1, b"x" * BLOCK_BYTES)
    await accept(storage.queue, post.acceptance(message=long, stored_blocks=1))
    lost = storage.queue.next_message_id(NOW)
    await storage.queue.store_block(lost, 1, b"y" * 1000)
    await accept(storage.queue, post.acceptance("owned@example.org", mirrored=True))
    await accept(storage.queue, post.acceptance("leaving@example.org", mirrored=True, marked=True))
    await accept(
        storage.queue,
        post.acceptance("unsure@example.org", mirrored=True, marked=True, uncertain="hold"),
    )
    await shop.die()
    return post


async def copied(
    source: Shop,
    target: Shop,
    *,
    told: Callable[[CopyStep], None] = lambda _: None,
    bounds: Bounds = SMALL,
    **wishes: Any,
) -> CopyReport:
    wishes.setdefault("key_dir", source.folder)
    return await copy_store(
        source.url, target.url, now_ms=NOW, version="1", told=told, bounds=bounds, **wishes
    )


async def everything(storage: Storage) -> list[object]:
    """All that a reader can learn of a store."""
    messages = (await storage.messages.newest(MessageFilter(), 1000)).messages
    found: list[object] = [
        (
            m.id,
            m.facts,
            await storage.messages.content(m.id),
            await storage.messages.deliveries(m.id),
        )
        for m in sorted(messages, key=lambda m: m.id)
    ]
    found.append(await storage.queue.waiting(limit=1000))
    found.append(await storage.queue.obligations(0, NOW + WEEK, 1000))
    found.append(await storage.queue.depths())
    for row in await storage.queue.waiting(limit=1000):
        found.append(await storage.events.history(row.last_event))
    return found


async def test_all_of_it_arrives_and_only_the_copy_goes_on(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    await fill(source)
    report = await copied(source, target)
    assert report.complete and not report.resumed
    # What a start at the source would have done was done before: see docs/queue.md.
    assert (report.recovered.released, report.recovered.uncertain) == (3, 2)
    assert (report.recovered.held, report.recovered.swept_uploads) == (1, 1)
    with pytest.raises(StoreMoved, match="was copied to"):
        await source.open()
    await source.say("DELETE FROM mark WHERE name = 'moved_to'")
    before = await everything(await source.open())
    await source.close()
    if target.database:
        lend_key(source, target.folder)
    storage = await target.open()
    assert await everything(storage) == before
    (app,) = await storage.directory.apps()
    (server,) = await storage.directory.servers(app.id)
    assert server.password == Secret(PASSWORD)
    assert app.mode is Mode.SANDBOX
    await target.close()


async def test_both_sides_have_the_same_checksums_whatever_engine_they_are(make: Make) -> None:
    first, second, third = make("sqlite"), make("postgres"), make("sqlite")
    await fill(first)
    there = await copied(first, second)
    back = await copied(second, third, bounds=Bounds())
    sums = {table.name: table for table in there.tables}
    assert sums.keys() == {table.name for table in back.tables}
    assert sums["event"].rows > 100 and sums["content"].rows > 60
    different = {table.name for table in back.tables if sums[table.name] != table}
    assert not different


async def test_numbers_go_on_above_those_that_were_copied(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    post = await fill(source, 10)
    await copied(source, target)
    if target.database:
        lend_key(source, target.folder)
    before = await source.say("SELECT max(seq), (SELECT max(id) FROM message) FROM event")
    lanes = await source.say("SELECT max(id) FROM lane")
    storage = await target.open()
    lane = await storage.queue.lane(LaneName(post.app.id, "servers", "new.example"))
    assert lane > lanes[0][0]
    later = post.onto(storage)
    message = await later.accept(at=NOW)
    assert message > before[0][1]
    await later.settle(delivery_id(message, 1), State.FAILED)
    other = await later.accept(at=NOW)
    failed = await later.verdict(delivery_id(other, 1), State.FAILED)
    await settle(storage.queue, later.settlement(failed, owed="failure"))
    assert len(await storage.queue.obligations(0, NOW + WEEK, 100)) == 2
    newest = await storage.events.recent(1)
    assert newest[0].seq > before[0][0]
    await target.close()


async def test_weeks_are_there_before_their_rows(there: tuple[Shop, Shop]) -> None:
    source, target = there
    await fill(source, 10)
    await copied(source, target)
    for table in ("message", "content", "event", "delivery"):
        assert await target.say(f"SELECT count(*) FROM {table}_rest") == [(0,)], table
    assert (await target.say("SELECT count(*) FROM message"))[0][0] == 14


class Killed(Exception):
    """As if by kill -9."""


def dying_after(steps: int, done: list[str]) -> Callable[[CopyStep], None]:
    def told(step: CopyStep) -> None:
        done.append(step.doing)
        if len(done) > steps:
            raise Killed

    return told


async def test_killed_anywhere_it_goes_on_where_it_ended(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    await fill(source, 40)
    kills = 0
    report = None
    while report is None:
        done: list[str] = []
        try:
            report = await copied(source, target, told=dying_after(9, done))
        except Killed:
            kills += 1
            with pytest.raises(StoreMoved):
                await target.open()
            await free(target)
            if set(done) == {"verifying"}:  # that is never shorter than this
                report = await copied(source, target)
    assert kills > 4
    assert report.resumed and report.complete
    assert not await count(source, target)


async def free(shop: Shop) -> None:
    """A node that was refused has begun all the same; it is dead half a minute later."""
    if shop.database:
        await shop.say("UPDATE incarnation SET until = 1")


async def count(source: Shop, target: Shop) -> list[str]:
    tables = ("message", "content", "queue", "delivery", "event", "app", "server", "lane")
    wrong = []
    for table in tables:
        ours = await source.say(f"SELECT count(*) FROM {table}")
        theirs = await target.say(f"SELECT count(*) FROM {table}")
        if ours != theirs:
            wrong.append(table)
    return wrong


async def test_what_was_copied_is_not_written_twice_after_a_kill(there: tuple[Shop, Shop]) -> None:
    source, target = there
    await fill(source, 40)

    def kill(step: CopyStep) -> None:
        if step.table == "message" and not step.done:
            raise Killed

    with pytest.raises(Killed):
        await copied(source, target, told=kill)
    reached = await target.say("SELECT rows FROM copying WHERE name = 'message'")
    assert reached == await target.say("SELECT count(*) FROM message") == [(7,)]
    doing: dict[str, set[str]] = {}
    rows: list[int] = []

    def told(step: CopyStep) -> None:
        doing.setdefault(step.table, set()).add(step.doing)
        if step.table == "message" and step.doing == "copying":
            rows.append(step.rows)

    await copied(source, target, told=told)
    assert rows[0] == 14
    assert doing["message"] == {"copying", "verifying"}
    assert doing["content"] == {"verifying"}


async def test_killed_between_the_marks_neither_store_is_used_until_it_is_run_again(
    there: tuple[Shop, Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = there
    await fill(source, 5)

    async def die(self: PostgresSide) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(PostgresSide, "finish", die)
        with pytest.raises(Killed):
            await copied(source, target)
    for shop in (source, target):
        with pytest.raises(StoreMoved):
            await shop.open()
    await free(target)
    assert (await copied(source, target)).complete


async def test_a_source_that_was_used_since_is_compared_and_not_trusted(
    pair: tuple[Shop, Shop],
) -> None:
    source, target = pair
    post = await fill(source, 40)

    def kill(step: CopyStep) -> None:
        if step.table == "queue":
            raise Killed

    with pytest.raises(Killed):
        await copied(source, target, told=kill)
    storage = await source.open()
    again = post.onto(storage)
    await again.accept("late@example.org", at=NOW - 2 * WEEK)
    await again.settle(delivery_id(post.sent[0], 2))
    gone = post.sent[7]
    await source.close()
    await source.say(f"DELETE FROM content WHERE (id >> 10) = {gone}")
    doing = set()

    def told(step: CopyStep) -> None:
        doing.add((step.doing, step.table))

    report = await copied(source, target, told=told)
    assert report.resumed
    assert ("comparing", "content") in doing and ("copying", "queue") in doing
    assert not await count(source, target)


TAMPERED = {
    "content": "UPDATE content SET body = {blob} WHERE id = (SELECT min(id) FROM content)",
    "delivery": "DELETE FROM delivery WHERE id = (SELECT max(id) FROM delivery)",
    "event": "UPDATE event SET kind = 'message.kept' WHERE seq = (SELECT max(seq) FROM event)",
    "message": "UPDATE message SET size = size + 1 WHERE id = (SELECT max(id) FROM message)",
    "queue": "UPDATE queue SET due = due + 1 WHERE id = (SELECT min(id) FROM queue)",
}


async def test_rows_that_were_tampered_with_are_found_and_mended(
    pair: tuple[Shop, Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    await fill(source, 20)
    verify = copy_pass.Pass.verify

    async def verifying(self: copy_pass.Pass, tables: Any) -> Any:
        blob = "'\\x00'" if target.database else "x'00'"
        for sql in TAMPERED.values():
            await target.say(sql.format(blob=blob))
        return await verify(self, tables)

    with monkeypatch.context() as patched:
        patched.setattr(copy_pass.Pass, "verify", verifying)
        with pytest.raises(CopyDiffers) as differs:
            await copied(source, target)
    found = [part.partition(":")[0] for part in str(differs.value.detail).split("; ")]
    assert found == list(TAMPERED)
    with pytest.raises(StoreMoved):
        await target.open()
    await free(target)
    storage = await source.open("two")  # it was not moved
    assert await storage.queue.waiting()
    await source.close()
    assert (await copied(source, target)).complete


async def test_a_first_pass_runs_beside_a_store_that_is_in_use(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    post = (await fill(source, 40)).onto(await source.open())
    report = await copied(source, target, while_running=True)
    assert not report.complete and report.tables == ()
    rows = await target.say("SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM queue)")
    assert rows == [(44, 0)]
    with pytest.raises(StoreMoved, match="not complete"):
        await target.open()
    await target.close()
    await free(target)
    # It goes on: mail comes, is settled, and is removed.
    await post.accept("late@example.org")
    await post.settle(delivery_id(post.sent[2], 1))
    await post.settle(delivery_id(post.sent[2], 2))
    await source.say(f"DELETE FROM message WHERE id = {post.sent[5]}")
    with pytest.raises(StoreInUse):
        await copied(source, target)
    await source.close()
    compared = set()
    report = await copied(
        source,
        target,
        told=lambda step: compared.add(step.table) if step.doing == "comparing" else None,
    )
    assert report.complete and report.resumed
    assert compared == {"message", "content", "delivery", "event", "session"}
    assert not await count(source, target)


async def test_a_store_in_use_is_not_copied(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    await fill(source, 1)
    await source.open()
    with pytest.raises(StoreInUse) as refused:
        await copied(source, target)
    assert "--while-running" in str(refused.value.fix)
    assert not target.folder.exists()
    await source.close()
    await Post.into(await target.open())
    with pytest.raises(StoreInUse):
        await copied(source, target)
    await target.close()
    with pytest.raises(StoreNotEmpty, match="rows in (account|app|lane)"):
        await copied(source, target)


async def test_a_node_that_starts_meanwhile_waits_and_is_refused(make: Make) -> None:
    source, target = make("postgres"), make("sqlite")
    await fill(source, 5)
    starting: list[asyncio.Task[Storage]] = []

    def told(step: CopyStep) -> None:
        if not starting:
            starting.append(asyncio.create_task(source.open("meanwhile")))

    report = await copied(source, target, told=told)
    assert report.complete
    with pytest.raises(StoreMoved):
        await starting[0]
    assert report.key == "copied"


async def test_two_sources_are_never_mixed(make: Make) -> None:
    first, second, target = make("sqlite"), make("sqlite"), make("postgres")
    await fill(first, 3)
    await fill(second, 3)

    def kill(step: CopyStep) -> None:
        raise Killed

    with pytest.raises(Killed):
        await copied(first, target, told=kill)
    with pytest.raises(StoreNotEmpty, match="unfinished copy of sqlite://"):
        await copied(second, target)
    with pytest.raises(StoreMoved, match="itself a copy"):
        await copied(target, second)
    assert (await copied(first, target)).complete
    with pytest.raises(StoreMoved, match="copied to"):
        await copied(first, make("postgres"))


async def test_a_store_is_opened_again_only_by_decision(pair: tuple[Shop, Shop]) -> None:
    source, target = pair
    await fill(source, 3)
    assert await where_moved(source.url) is None
    assert await reopen_store(source.url) is None
    await copied(source, target)
    assert await where_moved(source.url) == target.url.shown
    assert await reopen_store(source.url) == target.url.shown
    assert await where_moved(source.url) is None
    assert await (await source.open()).queue.waiting()
    await source.close()


async def test_a_directory_gets_the_key_or_is_refused_with_another_one(make: Make) -> None:
    source, database, back = make("sqlite"), make("postgres"), make("sqlite")
    await fill(source, 1)
    assert (await copied(source, database)).key == "needed"
    back.folder.mkdir()
    (back.folder / "secret.key").write_bytes(b"k" * 32)
    (back.folder / "secret.key").chmod(0o600)
    with pytest.raises(WrongSecretKey):
        await copied(database, back)  # its own directory has no key
    (back.folder / "secret.key").unlink()
    assert (await copied(database, back, key_dir=source.folder)).key == "copied"
    assert (back.folder / "secret.key").stat().st_mode & 0o777 == 0o600
    directory = (await back.open()).directory
    (app,) = await directory.apps()
    (server,) = await directory.servers(app.id)
    assert server.password == Secret(PASSWORD)
    await back.close()


async def test_what_is_no_store_is_said_without_a_password(
    make: Make, server: PostgresServer, tmp_path: Path
) -> None:
    source = make("sqlite")
    nowhere = parse_store_url(f"postgresql://postgres:hidden@/none?host={server.folder}")
    empty = make("postgres")
    with pytest.raises(NotFound, match="no store at"):
        await copied(source, empty)
    with pytest.raises(NotFound, match="no store at postgresql"):
        await copied(empty, make("sqlite"))
    assert await empty.say("SELECT to_regclass('message')") == [(None,)]
    with pytest.raises(BadStoreUrl, match="same store"):
        await copied(source, source)
    await fill(source, 1)
    with pytest.raises(StorageTrouble, match="cannot be reached") as trouble:
        await copy_store(source.url, nowhere, now_ms=NOW, version="1", told=lambda _: None)
    assert "hidden" not in f"{trouble.value}{trouble.value.detail}{trouble.value.fix}"


async def test_events_of_every_node_come_in_the_order_of_their_numbers(
    make: Make, server: PostgresServer
) -> None:
    source, target = make("postgres"), make("sqlite")
    post = await fill(source, 3)
    for name in ("two", "three"):
        other = Shop("sqlite", source.folder.with_name(name), server)
        other.database = source.database
        lend_key(source, other.folder)
        again = post.onto(await other.open(name))
        for _ in range(4):
            await again.accept()
        await other.close()
    report = await copied(source, target)
    assert report.complete
    seqs = [row[0] for row in await target.say("SELECT seq FROM event ORDER BY seq")]
    assert {seq & 63 for seq in seqs} == {1, 2, 3}
    assert seqs == [row[0] for row in await source.say("SELECT seq FROM event ORDER BY seq")]
    messages = {row[0] for row in await target.say("SELECT id FROM message")}
    assert {message_of(row[0]) for row in await target.say("SELECT id FROM queue")} <= messages
