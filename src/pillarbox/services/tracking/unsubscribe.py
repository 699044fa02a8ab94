"""readers who ask for no more: a page with one button, the click of a mail service, and the event

Programs follow links to look at them, so asking alone changes nothing (RFC 8058 §1). What counts is
the one request that nobody sends by accident.
"""

from __future__ import annotations

from typing import Final

from pillarbox.message.unsubscribe import is_one_click
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.events import UnsubscribedFacts
from pillarbox.policy.tracking import shown_agent
from pillarbox.services.tracking import answers
from pillarbox.services.tracking.answers import Answer, Asked
from pillarbox.services.tracking.preference import Preferences
from pillarbox.storage.interface.visits import NewVisit, VisitStore
from pillarbox.terms.clock import Clock

UNSUBSCRIBED: Final = "message.unsubscribed"
_LOOKING: Final = ("GET", "HEAD")
_QUESTION: Final = (
    "<p>The sender of this message will be told that you want no more mail of its kind.</p>"
    '<form method="post"><button name="List-Unsubscribe" value="One-Click">Unsubscribe</button></form>'
)
_DONE: Final = "<p>The sender has been told. There is nothing more for you to do.</p>"
_TOO_OLD: Final = (
    "<p>Nothing is known any more of the message that this link came with. Please answer the "
    "message, or use the link in a newer one.</p>"
)

_log = logger("tracking")


class Unsubscribing:
    """Answers tokens that lead here."""

    def __init__(
        self, store: VisitStore, clock: Clock, metrics: Metrics, preferences: Preferences
    ) -> None:
        """`preferences` say whether it is kept who asked, and with what."""
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._preferences = preferences

    async def answer(self, asked: Asked) -> Answer:
        """Durable when this says so. Never a redirect and never a cookie (RFC 8058 §3.1, §3.2).

        Raises `StorageTrouble`.
        """
        if asked.method in _LOOKING:
            return answers.page("Unsubscribe?", _QUESTION)
        if asked.method != "POST":
            return answers.not_so(*_LOOKING, "POST")
        if not is_one_click(asked.fields.get("content-type", ""), asked.body):
            self._count("refused")
            return answers.text(400, "To unsubscribe, send List-Unsubscribe=One-Click.")
        delivery = asked.token.delivery
        reached = await self._store.reached(delivery)
        if reached is None:
            self._count("too_old")
            _log.warning("unsubscribe.too_old", delivery=delivery)
            return answers.page("This link is too old", _TOO_OLD, 410)
        known = await self._preferences.keeps_personal_data(reached.app)
        facts = UnsubscribedFacts(
            asked.address if known else "",
            shown_agent(asked.fields.get("user-agent", "")) if known else "",
        )
        first = await self._store.unsubscribe(
            NewVisit(self._clock.now_ms(), reached.app, UNSUBSCRIBED, delivery, facts)
        )
        self._count("told" if first else "told_before")
        return answers.page("You are unsubscribed", _DONE)

    def _count(self, verdict: str) -> None:
        self._metrics.tracking_visits["unsubscribed", verdict] += 1
