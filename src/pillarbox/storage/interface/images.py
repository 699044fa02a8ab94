"""images that we show: those taken out of messages, and those fetched from where they lie"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

HOSTED_NOTED_AFTER_MS: Final = 3_600_000
"""The last use of an image is known to the hour."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image."""

    digest: str
    """SHA-256 of its bytes, in hex: its name."""
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AtAddress:
    """What an address was found to hold when it was last looked at."""

    digest: str
    """Empty where there was no image that could be shown."""
    until_at: int


@dataclass(frozen=True, slots=True)
class ImageTrim:
    """Which images go. Instants are milliseconds."""

    hosted_before: int
    """Hosted ones that were last asked for before this."""
    fetched_before: int
    most_fetched_bytes: int
    """Of what was fetched, the longest unused goes first."""


class ImageStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer."""

    async def keep(self, image: StoredImage, now_ms: int, *, hosted: bool) -> None:
        """Durable when this returns. A hosted one stays for as long as hosted images are kept,
        whatever else it is. The same image again only counts as used.
        """
        ...

    async def image(self, digest: str, now_ms: int) -> StoredImage | None:
        """By its name; asking for it keeps it."""
        ...

    async def at_address(self, url: str, now_ms: int) -> AtAddress | None:
        """What is known of an address; None where it has to be looked at (again)."""
        ...

    async def note_address(self, url: str, digest: str, until_at: int) -> None:
        """It was looked at; the image must be kept already."""
        ...

    async def trim(self, wanted: ImageTrim, now_ms: int, limit: int) -> int:
        """Remove at most `limit` of each kind; gives how many went."""
        ...
