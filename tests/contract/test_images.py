"""images: kept by the digest of their bytes, for as long as somebody asks for them"""

from __future__ import annotations

import hashlib

import pytest

from pillarbox.storage.interface.images import AtAddress, ImageTrim, StoredImage
from pillarbox.storage.interface.messages import BLOCK_BYTES
from pillarbox.storage.interface.store import Storage
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW


def image(data: bytes, media_type: str = "image/png") -> StoredImage:
    return StoredImage(hashlib.sha256(data).hexdigest(), media_type, data)


SMALL = image(b"\x89PNG small")
LARGE = image(bytes(range(256)) * (5 * BLOCK_BYTES // 256) + b"end")
ALL = ImageTrim(hosted_before=NOW, fetched_before=NOW, most_fetched_bytes=1 << 40)


@pytest.mark.parametrize("kept", [SMALL, LARGE], ids=["one-block", "many-blocks"])
async def test_what_was_kept_is_given_back_after_a_restart(place: Place, kept: StoredImage) -> None:
    assert place.storage is not None
    assert await place.storage.images.image(kept.digest, NOW) is None
    await place.storage.images.keep(kept, NOW, hosted=True)
    await place.storage.images.keep(kept, NOW, hosted=True)
    storage = await place.open()
    assert await storage.images.image(kept.digest, NOW) == kept


async def test_an_image_goes_when_nobody_has_asked_for_it_since(storage: Storage) -> None:
    await storage.images.keep(SMALL, NOW, hosted=True)
    await storage.images.keep(LARGE, NOW, hosted=True)
    later = NOW + 40 * 24 * HOUR
    assert await storage.images.image(LARGE.digest, later) == LARGE
    trim = ImageTrim(later - HOUR, later - HOUR, 1 << 40)
    assert await storage.images.trim(trim, later, 100) == 1
    assert await storage.images.image(SMALL.digest, later) is None
    assert await storage.images.image(LARGE.digest, later) == LARGE
    await storage.images.keep(SMALL, later, hosted=True)
    assert await storage.images.image(SMALL.digest, later) == SMALL


async def test_a_hosted_image_that_was_fetched_too_stays_hosted(storage: Storage) -> None:
    await storage.images.keep(SMALL, NOW, hosted=True)
    await storage.images.keep(SMALL, NOW, hosted=False)
    assert await storage.images.trim(ImageTrim(NOW, NOW + HOUR, 0), NOW + HOUR, 100) == 0
    assert await storage.images.image(SMALL.digest, NOW) == SMALL


async def test_of_too_many_fetched_images_the_longest_unused_go(storage: Storage) -> None:
    images = [image(b"\x89PNG%d" % n + bytes(1000)) for n in range(5)]
    for n, one in enumerate(images):
        await storage.images.keep(one, NOW + n, hosted=False)
    trim = ImageTrim(NOW, NOW, most_fetched_bytes=2500)
    assert await storage.images.trim(trim, NOW + HOUR, 100) == 3
    left = [one for one in images if await storage.images.image(one.digest, NOW) is not None]
    assert left == images[3:]


async def test_an_address_holds_until_its_time_is_over(storage: Storage) -> None:
    url = "https://example.com/logo.png?a=1"
    await storage.images.keep(SMALL, NOW, hosted=False)
    assert await storage.images.at_address(url, NOW) is None
    await storage.images.note_address(url, SMALL.digest, NOW + HOUR)
    assert await storage.images.at_address(url, NOW) == AtAddress(SMALL.digest, NOW + HOUR)
    assert await storage.images.at_address(url + "2", NOW) is None
    assert await storage.images.at_address(url, NOW + HOUR) is None
    await storage.images.note_address(url, "", NOW + 2 * HOUR)
    assert await storage.images.at_address(url, NOW + HOUR) == AtAddress("", NOW + 2 * HOUR)
    await storage.images.trim(ALL, NOW + 3 * HOUR, 100)
    assert await storage.images.at_address(url, NOW) is None
