"""a token in, an answer and an event out"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pillarbox.message.picture import PIXEL
from pillarbox.message.tokens import Token, TokenKind, key_named, read
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.tracking import CLICKED, OPENED, Visit, first_look, shown_agent
from pillarbox.services.tracking import answers
from pillarbox.services.tracking.answers import Answer, Answering, Asked
from pillarbox.services.tracking.book import Book
from pillarbox.services.tracking.image import Images
from pillarbox.services.tracking.preference import Preferences
from pillarbox.storage.interface.keys import KeyStore
from pillarbox.terms.clock import Clock

_TARGET: Final = re.compile(r"https?://[^/?#\\][!-~]*", re.IGNORECASE)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LOOKING: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Opened:
    """A token that was read."""

    token: Token
    revoked: bool
    """Its key may be in the wrong hands: what it says is not acted upon."""


class Visits:
    """Answers for tokens of every kind."""

    def __init__(
        self,
        keys: KeyStore,
        book: Book,
        images: Images,
        clock: Clock,
        metrics: Metrics,
        preferences: Preferences,
        *,
        unsubscribe: Answering | None = None,
    ) -> None:
        """Where `preferences` say that images are not served, readers are sent to where they lie."""
        self._keys = keys
        self._book = book
        self._images = images
        self._clock = clock
        self._metrics = metrics
        self._preferences = preferences
        self._unsubscribe = unsubscribe

    async def opened(self, text: str) -> Opened | None:
        """What a token says; None where it is none of ours. Raises `StorageTrouble`."""
        if not await self._keys.has_token_key(key_named(text)):
            return None
        token = read(text, await self._keys.token_secrets())
        if token is None:
            return None
        keys = await self._keys.token_keys()
        revoked = any(key.number == token.key and key.revoked_at is not None for key in keys)
        return Opened(token, revoked)

    async def answer(
        self,
        method: str,
        text: str,
        address: str,
        fields: Mapping[str, str],
        body: bytes = b"",
        path: str = "/",
    ) -> Answer:
        """Whatever was asked, an answer. Raises `StorageTrouble`."""
        opened = await self.opened(text)
        if opened is None:
            self._metrics.tracking_refused["token"] += 1
            return answers.nothing_here()
        asked = Asked(method, opened.token, address, fields, body, path)
        if opened.token.kind is TokenKind.UNSUBSCRIBE:
            if self._unsubscribe is None:
                return answers.nothing_here()
            if opened.revoked:
                self._metrics.tracking_refused["revoked"] += 1
                return answers.unsubscribes_no_more()
            return await self._unsubscribe(asked)
        if method not in _LOOKING:
            return answers.not_so(*_LOOKING)
        if opened.token.kind is TokenKind.HOSTED:
            return await self._hosted(opened.token)
        if opened.revoked:
            self._metrics.tracking_refused["revoked"] += 1
            if opened.token.kind is TokenKind.CLICK:
                return answers.no_longer_followed(opened.token.target)
            return answers.nothing_here()
        return await self._counted(asked)

    async def _counted(self, asked: Asked) -> Answer:
        token = asked.token
        if token.kind is TokenKind.PIXEL:
            self._note(asked, OPENED)
            return answers.image("image/gif", PIXEL)
        # Only addresses are minted, and yet: nothing else must ever stand in a header field.
        if not _TARGET.fullmatch(token.target):
            self._metrics.tracking_refused["target"] += 1
            return answers.nothing_here()
        if token.kind is TokenKind.CLICK:
            self._note(asked, CLICKED)
            return answers.redirect(token.target)
        self._note(asked, OPENED)
        served = await self._preferences.serves_images(token.delivery)
        found = await self._images.at(token.target) if served else None
        if found is None:
            return answers.redirect(token.target)
        return answers.image(found.media_type, found.data)

    async def _hosted(self, token: Token) -> Answer:
        found = None
        if _DIGEST.fullmatch(token.target):
            found = await self._images.hosted(token.target)
        if found is None:
            return answers.nothing_here()
        return answers.image(found.media_type, found.data, answers.KEPT_FOR_EVER)

    def _note(self, asked: Asked, kind: str) -> None:
        verdict, rule = first_look(asked.method, asked.fields)
        token = asked.token
        self._book.note(
            Visit(
                kind, token.delivery, token.position, token.target, self._clock.now_ms(),
                asked.address, shown_agent(asked.fields.get("user-agent", "")), verdict, rule,
            )
        )  # fmt: skip
