"""content on its way in, collected into blocks, and no more of it than is wanted"""

from __future__ import annotations

from abc import ABC, abstractmethod


class Framing(ABC):
    """How content is told from what follows it: by a dot on a line alone, or by its length."""

    __slots__ = ("dotted", "ended")

    ended: bool
    """Whether the end was seen; then `take` is not called again."""
    dotted: bool
    """Whether a line of the content began with a dot."""

    @abstractmethod
    def take(self, data: bytes, at: int, most: int) -> tuple[bytes, int]:
        """Content from ``data[at:]``, about `most` bytes of it, and where reading goes on.

        Raises `BareLineEnd`.
        """


class ContentReader:
    """Collects content into blocks."""

    __slots__ = ("_block_bytes", "_framing", "_left", "_parts", "_parts_size", "discards")

    def __init__(self, framing: Framing, max_bytes: int, block_bytes: int) -> None:
        """`max_bytes` of content are kept in all; with one more, everything is discarded."""
        self._framing = framing
        self._block_bytes = block_bytes
        self._left = max_bytes
        self._parts: list[bytes] = []
        self._parts_size = 0
        self.discards = False
        """Whether content is thrown away from here on; only its end is looked for."""

    @property
    def ended(self) -> bool:
        """Whether the end was seen."""
        return self._framing.ended

    @property
    def dotted(self) -> bool:
        """Whether a line of what was read began with a dot."""
        return self._framing.dotted

    @property
    def too_large(self) -> bool:
        """Whether there was more content than is allowed."""
        return self._left < 0

    @property
    def held_bytes(self) -> int:
        """How much was read and not given away."""
        return self._parts_size

    @property
    def full(self) -> bool:
        """Whether a block is complete; it has to be given away before reading goes on."""
        return self._parts_size >= self._block_bytes

    def read(self, data: bytes, at: int, stop: int) -> int:
        """Read from `at` up to the end of content or of a block, at most up to `stop`; says how far
        that was.

        Raises `BareLineEnd`.
        """
        framing = self._framing
        while at < stop:
            piece, at = framing.take(data, at, self._block_bytes - self._parts_size)
            self._left -= len(piece)
            if self._left < 0:
                self.discard()
            if not self.discards:
                self._parts.append(piece)
                self._parts_size += len(piece)
            if framing.ended or self._parts_size >= self._block_bytes:
                break
        return at

    def discard(self) -> None:
        """Keep nothing of what was or will be read."""
        self.discards = True
        self._parts, self._parts_size = [], 0

    def give(self) -> bytes:
        """One block; at the end of content, all there is."""
        parts = self._parts
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts, self._parts_size = [], 0
        if len(whole) > self._block_bytes and not self.ended:
            self._parts.append(whole[self._block_bytes :])
            self._parts_size = len(whole) - self._block_bytes
            return whole[: self._block_bytes]
        return whole
