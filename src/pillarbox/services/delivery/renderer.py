"""rendering where mail leaves: here or in a child, with keys, copies of images and what is to be said

Small mail is changed in this process, since a round trip to another one costs more. Style sheets are
inlined in a child, because the library that reads them can take a process with it, but where a
document like this one was there before; large mail goes there because it would hold up everybody
else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.message.dkim import SigningKey
from pillarbox.message.errors import MessageError
from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Styles
from pillarbox.message.keys import RenderKeys
from pillarbox.message.render import RENDERER_VERSION, Hop, render
from pillarbox.message.style_memory import StyleMemory
from pillarbox.message.wishes import asks_for_features, inlines_styles, is_dressed, is_individual
from pillarbox.net.errors import WorkerLost
from pillarbox.net.workers import Workers
from pillarbox.observe.log import logger
from pillarbox.policy.events import LeftFacts
from pillarbox.services.delivery.render_job import (
    Rendered,
    RenderWork,
    job_of,
    read_rendered,
    remember,
    rendered,
    styles_remembered,
)
from pillarbox.storage.interface.domains import DomainStore
from pillarbox.storage.interface.events import EventStore
from pillarbox.storage.interface.images import (
    HOSTED_NOTED_AFTER_MS,
    ImageStore,
    StoredImage,
)
from pillarbox.storage.interface.keys import KeyStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import DeliveryId, MessageId, delivery_id

_log = logger("delivery")

_SMALL_BYTES: Final = 64 * 1024
"""With features; what is only signed may be longer, for that is soon done."""
_SIGNED_HERE_BYTES: Final = 512 * 1024
_SHARED_BYTES: Final = 2 * 1024
"""What is shorter costs less here than on its way to a child, though others may wait."""
_WINDOW_SECONDS: Final = 0.1
_MANY: Final = 10
"""Renderings in such a window, from which on this process has better things to do."""
_TRIES: Final = 2
_STYLES_KEPT: Final = 32
_STYLE_EDITS_KEPT: Final = 20_000
"""Of one message: what has more is worked out anew."""
_SAID_KEPT: Final = 10_000
_LOST: Final = "It was left as it came: while it was changed, {}, twice."
_BROKE: Final = "It was left as it came: something unexpected happened while it was changed."
_IMAGES_KEPT: Final = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class KeyRing(Protocol):
    """Where the keys are that messages name."""

    async def keys_for(self, facts: MessageFacts) -> RenderKeys:
        """Those that there still are. Raises `StorageTrouble`."""
        ...


class StoredKeys:
    """Those in storage; most times they are in memory there."""

    def __init__(self, keys: KeyStore, domains: DomainStore) -> None:
        self._keys = keys
        self._domains = domains

    async def keys_for(self, facts: MessageFacts) -> RenderKeys:
        """See `KeyRing`."""
        tokens: Mapping[int, bytes] = {}
        if facts.tracking_host and facts.options:
            tokens = await self._keys.token_secrets()
        signing: Mapping[str, SigningKey] = {}
        if facts.key_ids:
            known = self._domains.signing_keys_now(facts.key_ids)
            signing = (
                known if known is not None else await self._domains.signing_keys(facts.key_ids)
            )
        return RenderKeys(tokens, signing)


class Renderer:
    """Makes of a message what goes over a hop to some of its recipients."""

    def __init__(
        self, keys: KeyRing, images: ImageStore, events: EventStore, workers: Workers, clock: Clock
    ) -> None:
        """Nothing is rendered yet."""
        self._keys = keys
        self._images = images
        self._events = events
        self._workers = workers
        self._clock = clock
        self._first: dict[MessageId, asyncio.Event] = {}
        """Whose styles are being inlined."""
        self._memory = StyleMemory()
        self._window_at = 0.0
        self._within = self._before = 0
        self._styles: OrderedDict[tuple[MessageId, int], Styles] = OrderedDict()
        self._lost: OrderedDict[MessageId, str] = OrderedDict()
        self._said: OrderedDict[MessageId, None] = OrderedDict()
        self._kept: OrderedDict[str, int] = OrderedDict()

    async def content(
        self, outgoing: Outgoing, content: bytes, hop: Hop, addressees: Sequence[Addressee]
    ) -> bytes:
        """What leaves; the same object where nothing has to be done.

        Images that no longer travel with it are durable when this returns. Raises `CannotRender`
        where this hop cannot have it, and `StorageTrouble`.
        """
        facts = outgoing.facts
        if not is_dressed(facts):
            return render(content, facts, hop)
        delivery = delivery_id(outgoing.message, 0)
        if is_individual(facts):
            (addressee,) = addressees
            delivery = addressee.delivery
        done = await self._rendered(outgoing, content, hop, delivery)
        for image in done.hosted:
            await self._keep_image(StoredImage(image.digest, image.media_type, image.data))
        if done.remarks and outgoing.message not in self._said:
            await self._say(outgoing, done.remarks, addressees)
        return done.content

    async def _rendered(
        self, outgoing: Outgoing, content: bytes, hop: Hop, delivery: DeliveryId
    ) -> Rendered:
        facts, message = outgoing.facts, outgoing.message
        keys = await self._keys.keys_for(facts)
        inlines = inlines_styles(facts)
        while inlines and (first := self._first.get(message)) is not None:
            await first.wait()  # what it finds out holds for all recipients
        why = self._lost.get(message, "")
        if not why and self._is_shared(content, facts):
            work = RenderWork(content, facts, hop, keys, delivery, tells_styles=False)
            return await self._shared(message, work)
        styles = self._styles.get((message, RENDERER_VERSION))
        small = len(content) <= (_SMALL_BYTES if asks_for_features(facts) else _SIGNED_HERE_BYTES)
        if small and inlines and styles is None:
            styles = styles_remembered(content, self._memory)
        work = RenderWork(content, facts, hop, keys, delivery, styles)
        if why:
            return await self._as_it_came(message, work.left_because(why))
        if small and not (inlines and styles is None):
            return await self._here(message, work)
        if not inlines:
            return await self._in_child(message, work)
        self._first[message] = done = asyncio.Event()
        try:
            return await self._in_child(message, work)
        finally:
            done.set()
            del self._first[message]

    def _is_shared(self, content: bytes, facts: MessageFacts) -> bool:
        """Whether a child does what could be done here: where much is rendered, one is free, and what
        it is given is not said again for each recipient.
        """
        now = self._clock.monotonic()
        if now - self._window_at >= _WINDOW_SECONDS:
            recent = now - self._window_at < 2 * _WINDOW_SECONDS
            self._before = self._within if recent else 0
            self._window_at, self._within = now, 0
        self._within += 1
        return (
            max(self._before, self._within) > _MANY
            and len(facts.recipients) == 1
            and _SHARED_BYTES <= len(content) <= _SMALL_BYTES
            and (len(self._memory) > 0 or not inlines_styles(facts))
            and self._workers.has_room
        )

    async def _here(self, message: MessageId, work: RenderWork) -> Rendered:
        try:
            return rendered(work)
        except MessageError:
            raise
        except Exception:
            # The boundary of what a message may hold that nobody thought of: it goes all the same.
            _log.exception("rendering.broke", message=message)
            return await self._left(message, work, _BROKE)

    async def _shared(self, message: MessageId, work: RenderWork) -> Rendered:
        try:
            return read_rendered(await self._workers.share(partial(job_of, work)))
        except WorkerLost as lost:
            if lost.begun:
                _log.warning("rendering.lost", message=message, attempt=1, reason=lost.sentence)
            return await self._in_child(message, work, 1 + lost.begun, lost.sentence)

    async def _in_child(
        self, message: MessageId, work: RenderWork, first: int = 1, why: str = ""
    ) -> Rendered:
        for attempt in range(first, _TRIES + 1):
            try:
                done = read_rendered(await self._workers.do(partial(job_of, work)))
            except WorkerLost as lost:
                why = lost.sentence
                _log.warning("rendering.lost", message=message, attempt=attempt, reason=why)
            else:
                if done.styles and sum(map(len, done.styles)) <= _STYLE_EDITS_KEPT:
                    if len(work.facts.recipients) > 1:
                        key = message, RENDERER_VERSION
                        _remember(self._styles, key, done.styles, _STYLES_KEPT)
                    if work.tells_styles and len(work.content) <= _SMALL_BYTES:
                        remember(work.content, done.styles, self._memory)
                return done
        return await self._left(message, work, _LOST.format(why))

    async def _left(self, message: MessageId, work: RenderWork, why: str) -> Rendered:
        """As it came, from now on."""
        _remember(self._lost, message, why, _SAID_KEPT)
        return await self._as_it_came(message, work.left_because(why))

    async def _as_it_came(self, message: MessageId, work: RenderWork) -> Rendered:
        """Only signed: that, too, is done in a child where it would hold up everybody else."""
        if len(work.content) > _SIGNED_HERE_BYTES:
            try:
                return read_rendered(await self._workers.do(partial(job_of, work)))
            except WorkerLost as lost:
                _log.warning(
                    "rendering.lost", message=message, attempt=_TRIES + 1, reason=lost.sentence
                )
        return rendered(work)

    async def _keep_image(self, image: StoredImage) -> None:
        """Durable when this returns; one that was seen a short while ago is."""
        now_ms = self._clock.now_ms()
        if now_ms - self._kept.get(image.digest, 0) >= HOSTED_NOTED_AFTER_MS:
            await self._images.keep(image, now_ms, hosted=True)
            _remember(self._kept, image.digest, now_ms, _IMAGES_KEPT)

    async def _say(
        self, outgoing: Outgoing, remarks: tuple[str, ...], addressees: Sequence[Addressee]
    ) -> None:
        """Once a message, in the history of whoever is served first."""
        _remember(self._said, outgoing.message, None, _SAID_KEPT)
        first = addressees[0]
        try:
            first.last_event = await self._events.append(
                self._clock.now_ms(), outgoing.app, "message.left_as_it_is", LeftFacts(remarks),
                first.delivery, first.last_event,
            )  # fmt: skip
        except BaseException:
            self._said.pop(outgoing.message, None)
            raise


def _remember(where: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    where[key] = value
    while len(where) > most:
        where.popitem(last=False)
