"""pays the notices that settlements left owed: each becomes a message through the one door"""

from __future__ import annotations

import asyncio

from pillarbox.handover.accept import Door
from pillarbox.handover.duty import go_rounds
from pillarbox.handover.receipt import Content
from pillarbox.message.dsn_write import Action, Notice, RecipientReport, write_dsn
from pillarbox.message.facts import Origin
from pillarbox.observe.crash import crash_point
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.envelope import Envelope, Notify, Recipient
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.storage.interface.companions import PayObligation
from pillarbox.storage.interface.errors import AlreadyPaid, NotFound, StorageTrouble
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow, Obligation
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import (
    format_delivery_id,
    format_message_id,
    message_of,
    message_time_ms,
    ordinal_of,
)

_log = logger("notices")

_PORTION = 100
"""Notices read at once."""


class Notices:
    """Writes failure notices to submitters' return paths; runs once in a cluster."""

    def __init__(
        self,
        storage: Storage,
        door: Door,
        clock: Clock,
        metrics: Metrics,
        *,
        hostname: str,
        poll_seconds: float,
    ) -> None:
        self._storage = storage
        self._door = door
        self._clock = clock
        self._metrics = metrics
        self._hostname = hostname
        self._poll_seconds = poll_seconds
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Pay what is owed until `stop`."""
        await go_rounds(self._pay_on_duty, self._stop, "notices", self._poll_seconds)

    async def _pay_on_duty(self) -> None:
        if await self._storage.nodes.has_duty("notices"):
            await self.pay()

    def stop(self) -> None:
        """After the notice being written."""
        self._stop.set()

    async def pay(self) -> int:
        """Pay everything that is due; gives how many notices were accepted."""
        after = paid = 0
        while True:
            owed = await self._storage.queue.obligations(after, self._clock.now_ms(), _PORTION)
            for obligation in owed:
                paid += await self._pay(obligation)
                after = obligation.id
            if len(owed) < _PORTION:
                return paid

    async def _pay(self, obligation: Obligation) -> bool:
        try:
            accepted = await self._accept(obligation)
        except AlreadyPaid:
            return False
        except NotFound as gone:
            await self._drop(obligation, gone.sentence)
            return False
        except StorageTrouble:
            raise
        except PillarboxError as error:
            await self._drop(obligation, str(error))
            return False
        if accepted:
            self._metrics.notices["accepted"] += 1
        return accepted

    async def _drop(self, obligation: Obligation, reason: str) -> None:
        """Retention or a removed app took what it was about: nobody is left to write to."""
        self._metrics.notices["dropped"] += 1
        _log.warning("notice.dropped", delivery=obligation.delivery, reason=reason)
        await self._storage.queue.drop_obligation(obligation.id)

    async def _accept(self, obligation: Obligation) -> bool:
        storage = self._storage
        stored = await storage.messages.get(message_of(obligation.delivery))
        delivery = await storage.messages.delivery(obligation.delivery)
        app = await storage.directory.app(obligation.app)
        account = await storage.directory.account(app.account)
        history = await storage.events.history(delivery.last_event)
        attempt = next(
            (e.data for e in reversed(history) if isinstance(e.data, AttemptFacts)),
            AttemptFacts(),
        )
        sessions = await storage.events.sessions([attempt.session]) if attempt.session else {}
        session = sessions.get(attempt.session)
        recipient = stored.facts.recipients[ordinal_of(obligation.delivery) - 1]
        content = await self._content(stored)
        # RFC 8689 §5: what had to be kept from strangers on its way is kept from them on the way back.
        safe = stored.facts.tls == "required"
        now_ms = self._clock.now_ms()
        notice = Notice(
            message_id=f"<{format_delivery_id(obligation.delivery)}.{obligation.kind}@{self._hostname}>",
            at=now_ms,
            hostname=self._hostname,
            to=stored.return_path,
            recipients=(
                RecipientReport(
                    address=delivery.recipient,
                    action=Action(obligation.kind),
                    status=attempt.status,
                    original=recipient.original,
                    remote_mta=session.facts.host if session is not None else "",
                    reply=f"{attempt.code} {attempt.status} {attempt.text}" if attempt.code else "",
                    attempted_at=delivery.at,
                    words=_why(attempt, delivery),
                ),
            ),
            content=content,
            arrived_at=message_time_ms(stored.id),
            report="HDRS" if safe else stored.facts.report,
            envelope_id=stored.facts.envelope_id,
            name=format_message_id(stored.id),
        )
        submitter = Submitter(
            kind=SubmitterKind.SYSTEM, id=app.id, name="pillarbox", account=account, app=app,
            mode=Mode.SANDBOX if app.mode is Mode.OFF else app.mode,
        )  # fmt: skip
        envelope = Envelope(
            "", (Recipient(stored.return_path, frozenset({Notify.NEVER})),), requires_tls=safe
        )
        crash_point("notice-before-accept")
        await self._door.accept(
            envelope,
            Content(write_dsn(notice)),
            submitter,
            Origin("system"),
            companions=(PayObligation(obligation.id),),
        )
        return True

    async def _content(self, stored: StoredMessage) -> bytes:
        """The first block, which holds the header section; what is longer is not sent back."""
        try:
            async for block in self._storage.messages.blocks(stored.id):
                return block
        except NotFound:
            pass
        return b""


def _why(attempt: AttemptFacts, delivery: DeliveryRow) -> str:
    """A sentence where the status alone would not say enough; empty leaves it to the status."""
    if delivery.state is not State.EXPIRED:
        return ""
    times = "once" if delivery.attempts == 1 else f"{delivery.attempts} times"
    return f"It was tried {times}, and the time for trying is over. The last time: {attempt.words}."
