"""hosted and fetched images, over an engine: bytes in blocks, written ahead of what names them"""

from __future__ import annotations

import hashlib
from typing import Final

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.gathering import Gathering
from pillarbox.storage.interface.images import (
    HOSTED_NOTED_AFTER_MS,
    AtAddress,
    ImageTrim,
    StoredImage,
)
from pillarbox.storage.interface.messages import BLOCK_BYTES

_BLOCKS_AT_ONCE: Final = 4
_WRITTEN_WITHIN_MS: Final = 3_600_000
"""Blocks that are younger may belong to an image that is still being written."""


class UsedMember(Member):
    """When images were last asked for."""

    __slots__ = ("_used",)

    def __init__(self, used: dict[bytes, int]) -> None:
        super().__init__()
        self._used = used

    def write(self, batch: Batch) -> None:
        """In the order of keys, which all nodes share."""
        for row in sorted(self._used.items()):
            batch.add("image.used", row)


class SqlImageStore:
    """See `storage.interface.images.ImageStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._used: Gathering[bytes, int] = Gathering(engine, UsedMember)

    async def keep(self, image: StoredImage, now_ms: int, *, hosted: bool) -> None:
        """Some blocks at a time, so that others need not wait for all of them."""
        digest, data = bytes.fromhex(image.digest), image.data
        last = Step("image.save", (digest, image.media_type, len(data), int(hosted), now_ms))
        if await self._engine.read("image.one", digest):
            await self._engine.change(last)
            # Removed meanwhile, it is there again without its bytes.
            if as_int((await self._engine.read("image.length", digest))[0][0]) == len(data):
                return
        starts = range(0, len(data), BLOCK_BYTES)
        steps = [
            Step("image.save_block", (digest, n, now_ms, data[at : at + BLOCK_BYTES]))
            for n, at in enumerate(starts)
        ]
        while len(steps) > _BLOCKS_AT_ONCE:
            ahead, steps = steps[:_BLOCKS_AT_ONCE], steps[_BLOCKS_AT_ONCE:]
            await self._engine.change(*ahead, content_bytes=len(ahead) * BLOCK_BYTES)
        await self._engine.change(*steps, last, content_bytes=len(steps) * BLOCK_BYTES)

    async def image(self, digest: str, now_ms: int) -> StoredImage | None:
        """None also where some of its bytes are missing."""
        key = bytes.fromhex(digest)
        for media_type, size, _, used_at in await self._engine.read("image.one", key):
            blocks = await self._engine.read("image.blocks", key)
            data = b"".join(as_bytes(row[0]) for row in blocks)
            if len(data) != as_int(size):
                return None
            if now_ms - as_int(used_at) >= HOSTED_NOTED_AFTER_MS:
                self._used.put(key, now_ms)
            return StoredImage(digest, as_text(media_type), data)
        return None

    async def at_address(self, url: str, now_ms: int) -> AtAddress | None:
        """One row."""
        for row in await self._engine.read("image.address", _id_of(url), now_ms):
            return AtAddress(as_bytes(row[0]).hex(), as_int(row[1]))
        return None

    async def note_address(self, url: str, digest: str, until_at: int) -> None:
        """One row, replaced."""
        row = (_id_of(url), bytes.fromhex(digest), until_at)
        await self._engine.change(Step("image.save_address", row))

    async def trim(self, wanted: ImageTrim, now_ms: int, limit: int) -> int:
        """What nobody asked for, then what is too much, then what was begun and left."""
        await self.flush()
        read = self._engine.read
        gone = await self._delete(
            1, await read("image.unused", 1, wanted.hosted_before, limit), now_ms
        )
        gone += await self._delete(
            0, await read("image.unused", 0, wanted.fetched_before, limit), now_ms
        )
        over = as_int((await read("image.weight", 0))[0][0]) - wanted.most_fetched_bytes
        if over > 0:
            rows = []
            for row in await read("image.unused", 0, now_ms + 1, limit):
                if over <= 0:
                    break
                rows.append(row)
                over -= as_int(row[1])
            gone += await self._delete(0, rows, now_ms)
        left_ms = now_ms - _WRITTEN_WITHIN_MS
        orphans = {as_bytes(row[0]) for row in await read("image.orphans", left_ms, limit)}
        await self._engine.change(
            *(Step("image.delete_blocks", (digest, left_ms)) for digest in sorted(orphans)),
            Step("image.drop_addresses", (now_ms,)),
        )
        return gone

    async def flush(self) -> None:
        """Write what was gathered now."""
        await self._used.flush()

    async def _delete(self, hosted: int, rows: list[Row], now_ms: int) -> int:
        """One by one: an image is large."""
        left_ms = now_ms - _WRITTEN_WITHIN_MS
        for digest, _, used_at in rows:
            await self._engine.change(
                Step("image.delete", (digest, hosted, used_at)),
                Step("image.delete_blocks", (digest, left_ms)),
            )
        return len(rows)


def _id_of(url: str) -> bytes:
    return hashlib.sha256(url.encode()).digest()
