"""content that leaves only while this node holds its lease: afterwards it may be another node's"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.nodes import NodeStore

_PIECE_BYTES: Final = 256 * 1024


def lease_over() -> StorageTrouble:
    """Nothing may leave; it stays in memory until the lease is renewed, or lost for good."""
    return StorageTrouble("This node's lease is over; the mail may be another node's now.")


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    """Long content that lies in memory, so that it can be stopped on its way."""
    for at in range(0, len(data), _PIECE_BYTES):
        yield data[at : at + _PIECE_BYTES]


async def while_held(nodes: NodeStore, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Long content may take longer than a lease lasts: its final dot never leaves then.

    Raises `StorageTrouble`.
    """
    async for block in blocks:
        if not nodes.holds:
            raise lease_over()
        yield block
    if not nodes.holds:
        raise lease_over()
