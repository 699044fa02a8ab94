"""a store brought to rest: what dead processes held is free again, and nothing may be leaving

Each node that ever used it is begun once more and ended in order, by whoever has made sure that none
of them is alive. So what a start at the same place would put right is put right in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pillarbox.storage.columns import as_int
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.interface.queue import Recovered
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.open import open_engine
from pillarbox.storage.recovery import recover


async def bring_to_rest(
    store: StoreUrl, nodes: Sequence[tuple[str, str]], now_ms: int, version: str
) -> Recovered:
    """As each of the `nodes`, given by name and place. Raises what opening it as that node raises."""
    found = Recovered()
    for name, place in nodes:
        found += await _as_node(store, NodeIdentity(name, place, version, ()), now_ms)
    return found


async def _as_node(store: StoreUrl, who: NodeIdentity, now_ms: int) -> Recovered:
    broken: list[StorageBroken] = []
    engine = await open_engine(
        store.directory or Path(), store.database.reveal(), who=who, now_ms=now_ms,
        on_broken=broken.append,
    )  # fmt: skip
    try:
        rows = await engine.read("incarnation.unrecovered", engine.node, engine.incarnation)
        found = await recover(engine, [as_int(row[0]) for row in rows], now_ms)
        # Its own life ends in order too, so that nobody waits for its next sign.
        await recover(engine, [engine.incarnation], now_ms)
    finally:
        await engine.close()
    if broken:
        raise broken[0]
    return found
