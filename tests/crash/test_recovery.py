"""what is put right where one message and one death cannot show it"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import apsw
import pytest

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.ids import delivery_id
from tests.contract.post import NOW, Post
from tests.crash.conftest import Site
from tests.crash.ledger import look, somebody_writing
from tests.waited import settle


async def test_a_delivery_under_two_marks_is_called_uncertain_once(tmp_path: Path) -> None:
    """A mark stays until the last of its neighbours is settled. One that was put off meanwhile and
    is tried again has a second mark; its history must not fork."""
    broken: list[StorageBroken] = []
    storage = await open_storage(tmp_path, now_ms=NOW, on_broken=broken.append)
    post = await Post.into(storage)
    again, neighbour = [delivery_id(await post.accept(), 1) for _ in range(2)]
    await storage.queue.mark_started([again, neighbour])
    await post.settle(again, State.DEFERRED, due_at=NOW + 1)
    await storage.queue.mark_started([again], verify=True)
    await storage.close()

    storage = await open_storage(tmp_path, now_ms=NOW + 2, on_broken=broken.append)
    recovered = await storage.queue.recover(NOW + 2)
    await storage.close()
    with look(tmp_path) as ledger:
        named = ledger.rows("SELECT delivery FROM event WHERE kind = 'delivery.uncertain'")
        assert sorted(named) == [(again,), (neighbour,)]
        assert ledger.faults() == []
    assert recovered.uncertain == 2
    assert not broken


async def test_what_must_not_leave_is_under_no_mark(tmp_path: Path) -> None:
    """Claimed, and settled or held before its turn came: nobody settles it again, so a mark that
    covered it would stay, and call it uncertain though it never left."""
    broken: list[StorageBroken] = []
    storage = await open_storage(tmp_path, now_ms=NOW, on_broken=broken.append)
    post = await Post.into(storage)
    settled, held, leaving = [delivery_id(await post.accept(), 1) for _ in range(3)]
    await post.settle(settled)
    await storage.queue.hold([held], NOW, "ann")
    assert await storage.queue.mark_started([settled, held, leaving], verify=True) == {
        settled,
        held,
    }
    assert await storage.queue.mark_started([settled], verify=True) == {settled}
    with look(tmp_path, alive=True) as ledger:
        assert ledger.marked() == [leaving]
    await post.settle(leaving)
    with look(tmp_path, alive=True) as ledger:
        assert ledger.counts().get("started", 0) == 0
    await storage.close()


async def test_a_settlement_that_was_offered_twice_takes_its_mark_with_it(tmp_path: Path) -> None:
    """Storage that did not answer at first is asked again; the mark goes with the second answer."""
    broken: list[StorageBroken] = []
    storage = await open_storage(tmp_path, now_ms=NOW, on_broken=broken.append)
    post = await Post.into(storage)
    delivery = delivery_id(await post.accept(), 1)
    await storage.queue.mark_started([delivery])
    settlement = post.settlement(await post.verdict(delivery))
    await _be_impatient(storage)
    with somebody_writing(tmp_path), pytest.raises(StorageTrouble):
        await settle(storage.queue, settlement)
    await settle(storage.queue, settlement)
    with look(tmp_path, alive=True) as ledger:
        assert ledger.waiting() == {}
    await storage.close()


async def _be_impatient(storage: Storage) -> None:
    """The writer's thread may still hold its connection when what it wrote is known."""
    while True:
        try:
            storage._engine._writer.set_busy_timeout(20)  # type: ignore[attr-defined]
        except apsw.ThreadingViolationError:
            await asyncio.sleep(0.01)
        else:
            return


@pytest.mark.slow
async def test_a_client_that_vanishes_in_long_content_leaves_nothing(
    site: Site, tmp_path: Path
) -> None:
    """Nobody dies but the client: what it began is not kept until the next start."""
    async with site.relay(tmp_path, {}) as relay:
        with socket.create_connection(("127.0.0.1", relay.port("plain")), 10) as client:
            talk = client.makefile("rwb", 0)
            talk.readline()
            for command in (b"HELO x", b"MAIL FROM:<a@x.test>", b"RCPT TO:<b@x.test>", b"DATA"):
                talk.write(command + b"\r\n")
                assert talk.readline()[:1] in b"23"
            talk.write(b"Subject: long\r\n\r\n" + (b"x" * 78 + b"\r\n") * 10_000)

            def counts() -> dict[str, int]:
                with look(relay.data_dir, alive=True) as ledger:
                    return ledger.counts()

            await relay.until(lambda: counts().get("upload") == 1)
            talk.close()
        await relay.until(lambda: not counts(), seconds=5)
