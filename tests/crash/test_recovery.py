"""what a start makes of marks that a dead process left, where one message cannot show it"""

from __future__ import annotations

from pathlib import Path

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.open import open_storage
from pillarbox.terms.ids import delivery_id
from tests.contract.post import NOW, Post
from tests.crash.ledger import look


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
