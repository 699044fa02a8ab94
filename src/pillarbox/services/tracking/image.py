"""tracked images: fetched once from where they lie, looked at, kept, and shown from here"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import urljoin

from pillarbox.message.picture import image_type
from pillarbox.net.web_client import WebAnswer
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.images import ImageStore, StoredImage
from pillarbox.terms.clock import Clock

MAX_IMAGE_BYTES: Final = 5 * 1024 * 1024
MAX_REDIRECTS: Final = 3
_MOST_FETCHES: Final = 16
_MOST_WAITING: Final = 500
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_HOUR_MS: Final = 3_600_000
_LEAST_KEPT_MS: Final = _HOUR_MS
_USUALLY_KEPT_MS: Final = 24 * _HOUR_MS
_MOST_KEPT_MS: Final = 7 * 24 * _HOUR_MS
_FAILURE_KEPT_MS: Final = 600_000
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.IGNORECASE)
_FIELDS: Final = {"accept": "image/*"}

_log = logger("tracking")


class Gets(Protocol):
    """What is asked of a web client."""

    async def get(
        self, url: str, *, fields: Mapping[str, str], seconds: float, max_bytes: int
    ) -> WebAnswer:
        """GET `url`, following nothing. Raises `WebFailed`, `WebAddressInvalid`."""
        ...


class Images:
    """Finds what lies at an address: from the store, or by asking once for all who wait for it."""

    def __init__(
        self, store: ImageStore, client: Gets, clock: Clock, metrics: Metrics, seconds: float
    ) -> None:
        """`client` connects to public addresses only; a fetch takes `seconds` at most."""
        self._store = store
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._seconds = seconds
        self._fetching: dict[str, asyncio.Task[StoredImage | None]] = {}
        self._turns = asyncio.Semaphore(_MOST_FETCHES)

    async def at(self, url: str) -> StoredImage | None:
        """The image; None where there is none that we could show, or not in time."""
        try:
            known = await self._store.at_address(url, self._clock.now_ms())
            if known is not None:
                found = None
                if known.digest:
                    found = await self._store.image(known.digest, self._clock.now_ms())
                if found is not None or not known.digest:
                    self._metrics.tracking_images["cached" if found else "redirected"] += 1
                    return found
            found = await self._fetched(url)
        except StorageTrouble as trouble:
            _log.warning("image.not_looked_up", reason=str(trouble))
            found = None
        self._metrics.tracking_images["fetched" if found else "redirected"] += 1
        return found

    async def hosted(self, digest: str) -> StoredImage | None:
        """One that was taken out of a message. Raises `StorageTrouble`."""
        return await self._store.image(digest, self._clock.now_ms())

    async def close(self) -> None:
        """End what is being fetched."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetched(self, url: str) -> StoredImage | None:
        task = self._fetching.get(url)
        if task is None:
            if len(self._fetching) >= _MOST_WAITING:
                return None
            task = asyncio.create_task(self._fetch(url), name="image")
            self._fetching[url] = task
            task.add_done_callback(lambda _: self._fetching.pop(url, None))
        # Others wait for the same image: who gives up must not end it for them.
        return await asyncio.shield(task)

    async def _fetch(self, url: str) -> StoredImage | None:
        kept_ms = _FAILURE_KEPT_MS
        image = None
        try:
            async with asyncio.timeout(self._seconds):
                async with self._turns:
                    answer = await follow(self._get, url)
            media_type = image_type(answer.body) if answer.status == _OK else ""
            if media_type:
                digest = hashlib.sha256(answer.body).hexdigest()
                image = StoredImage(digest, media_type, answer.body)
                kept_ms = kept_for(answer.fields.get("cache-control", ""))
            else:
                _log.info("image.not_shown", status=answer.status, words="it is no image we know")
        except (WebFailed, WebAddressInvalid) as error:
            _log.info("image.not_fetched", reason=str(error))
        except TimeoutError:
            _log.info("image.not_fetched", reason="it took too long")
        now_ms = self._clock.now_ms()
        if image is not None:
            await self._store.keep(image, now_ms, hosted=False)
        await self._store.note_address(url, image.digest if image else "", now_ms + kept_ms)
        return image

    async def _get(self, url: str) -> WebAnswer:
        return await self._client.get(
            url, fields=_FIELDS, seconds=self._seconds, max_bytes=MAX_IMAGE_BYTES
        )


async def follow(get: Callable[[str], Awaitable[WebAnswer]], url: str) -> WebAnswer:
    """The answer at the end of at most `MAX_REDIRECTS` redirects, each asked like the first.

    Raises what `get` raises, and `WebAddressInvalid` for a redirect that leads to no address.
    """
    answer = await get(url)
    for _ in range(MAX_REDIRECTS):
        location = answer.fields.get("location", "")
        if answer.status not in _REDIRECTS or not location:
            return answer
        try:
            url = urljoin(url, location)
        except ValueError as error:
            raise WebAddressInvalid("it was redirected to what is no URL") from error
        answer = await get(url)
    return answer


def kept_for(cache_control: str) -> int:
    """For how many milliseconds an image is not asked for again, whatever its server wishes."""
    found = _MAX_AGE.search(cache_control)
    if found is None:
        return _USUALLY_KEPT_MS
    return min(max(int(found[1]) * 1000, _LEAST_KEPT_MS), _MOST_KEPT_MS)
