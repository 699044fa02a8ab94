"""what an app prefers for its readers: whether they are named, and where tracked images come from

Asked at every visit, and not noted in the token or at the door: a change then holds for mail that has
left as well, which is most of the mail that readers visit. It costs little. Apps are in memory; whose
mail it is, is known anyway where a visit is written, and looked up for an image only where some app
prefers something. Links ask for nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.policy.directory import TrackedImages, VisitDetail
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import NotFound, StorageTrouble
from pillarbox.storage.interface.visits import VisitStore
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId, message_of

_MOST_KNOWN: Final = 10_000

_log = logger("tracking")


class Preferences:
    """Of all apps. What an app leaves open is as it is set for the whole place."""

    def __init__(
        self,
        directory: DirectoryStore,
        visits: VisitStore,
        *,
        personal_data: bool,
        serves_images: bool,
    ) -> None:
        """The last two hold where an app says nothing."""
        self._directory = directory
        self._visits = visits
        self._personal_data = personal_data
        self._serves_images = serves_images
        self._version = 0
        self._some_prefer = False
        self._owners: OrderedDict[MessageId, ObjectId] = OrderedDict()
        """Whose a message is never changes, so what is known stays true."""

    async def keeps_personal_data(self, app: ObjectId) -> bool:
        """Whether it may be written down who visited mail of this app, and with what.

        Raises `StorageTrouble`.
        """
        try:
            said = (await self._directory.app(app)).visits
        except NotFound:
            # Nobody can say any more what was promised to its readers.
            return False
        if said is VisitDetail.DEFAULT:
            return self._personal_data
        return said is VisitDetail.FULL

    async def serves_images(self, delivery: DeliveryId) -> bool:
        """Whether tracked images are shown from here, rather than from where they lie.

        As it is set for all where it cannot be found out: somebody waits for the image.
        """
        try:
            said = await self._images_of(delivery)
        except StorageTrouble as trouble:
            _log.warning("image.preference_not_known", reason=str(trouble))
            said = TrackedImages.DEFAULT
        if said is TrackedImages.DEFAULT:
            return self._serves_images
        return said is TrackedImages.SERVE

    async def _images_of(self, delivery: DeliveryId) -> TrackedImages:
        if not await self._is_asked():
            return TrackedImages.DEFAULT
        app = await self._owner(delivery)
        if app is None:
            return TrackedImages.DEFAULT
        try:
            return (await self._directory.app(app)).tracked_images
        except NotFound:
            return TrackedImages.DEFAULT

    async def _is_asked(self) -> bool:
        """Whether any app prefers something about images."""
        version = self._directory.version
        if version != self._version:
            apps = await self._directory.apps()
            self._some_prefer = any(app.tracked_images is not TrackedImages.DEFAULT for app in apps)
            self._version = version
        return self._some_prefer

    async def _owner(self, delivery: DeliveryId) -> ObjectId | None:
        message = message_of(delivery)
        known = self._owners.get(message)
        if known is not None:
            self._owners.move_to_end(message)
            return known
        reached = await self._visits.reached(delivery)
        if reached is None:
            return None
        self._owners[message] = reached.app
        if len(self._owners) > _MOST_KNOWN:
            self._owners.popitem(last=False)
        return reached.app
