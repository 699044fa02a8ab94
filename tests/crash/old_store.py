"""a store that has been in use for a while, filled through the storage interface, and then dead

Most of its messages are settled. Of the others some wait, some are deferred, and the last ones are in
the memory of the process that died, every other one under a start mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pillarbox.message.facts import MessageFacts, Origin, RecipientFacts
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Account, App, Mode
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.server import Encryption, Server
from pillarbox.storage.interface.acceptance import Acceptance, NewDelivery, NewMessage
from pillarbox.storage.interface.queue import LaneName
from pillarbox.storage.interface.settlement import Settlement, Verdict
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.ids import delivery_id, new_object_id
from pillarbox.terms.secret import Secret
from tests.doubles.journal import wall_ms
from tests.doubles.letters import Letter, Letters
from tests.waited import accept, settle

USERNAME, PASSWORD = "moved", "sealed-in-the-old-store"
AUTHOR = "orders@example.test"
_BATCH = 500
_RECIPIENT = "desk@example.test"
_LIVES_MS = 48 * 3_600_000


@dataclass(frozen=True, slots=True)
class Filling:
    """How much."""

    messages: int
    waiting: int
    owned: int
    """Of those that wait, so many are in the memory of the process that dies."""

    @property
    def step(self) -> int:
        """Every so many-th message waits."""
        return self.messages // self.waiting


async def fill_store(filling: Filling, folder: Path, port: int, letters: Letters) -> dict[str, str]:
    """An app whose server listens on this port of loopback, and all the mail. Gives the ids of the
    messages that wait, each with the SHA-256 of its body.
    """
    storage = await open_storage(folder, now_ms=wall_ms(), on_broken=lambda _: None)
    account = Account(new_object_id(), "default")
    app = App(new_object_id(), account.id, "first-app", mode=Mode.LIVE)
    await storage.directory.save_account(account)
    await storage.directory.save_app(app)
    server = Server(
        new_object_id(), app.id, "upstream", "127.0.0.1", port, Encryption.NONE,
        username=USERNAME, password=Secret(PASSWORD),
    )  # fmt: skip
    await storage.directory.save_server(server)
    hands = _Hands(storage, app, server, await storage.queue.lane(LaneName(app.id, "servers", "*")))
    waiting: dict[str, str] = {}
    for first in range(0, filling.messages, _BATCH):
        numbers = range(first, min(first + _BATCH, filling.messages))
        await hands.fill(numbers, filling, letters, waiting)
    # Nothing is put back: what is in memory stays owned, as by a process that was killed.
    await storage.close()
    return waiting


@dataclass(frozen=True, slots=True)
class _Hands:
    """What a batch is made with."""

    storage: Storage
    app: App
    server: Server
    lane: int

    async def fill(
        self, numbers: Sequence[int], filling: Filling, letters: Letters, waiting: dict[str, str]
    ) -> None:
        """Accept these, and settle those that do not wait any more."""
        now, step = wall_ms(), filling.step
        first_owned = filling.messages - filling.owned * step
        taken = []
        for number in numbers:
            letter = letters.letter(number, f"moved-{number}", [_RECIPIENT])
            stays = number % step == 0
            owned = stays and number >= first_owned
            if stays:
                waiting[letter.identity] = letter.sha256
            marked = owned and number % (2 * step) == 0
            acceptance = self._acceptance(letter, now, owned=owned, marked=marked)
            event = accept(self.storage.queue, acceptance)
            if not owned and (not stays or number % (3 * step) == 0):
                state = State.DEFERRED if stays else State.HANDED_OVER
                taken.append((acceptance, event, state))
        settled = []
        for acceptance, event, state in taken:
            verdict = self._verdict(acceptance, await event, state)
            settled.append(settle(self.storage.queue, Settlement(now, self.app.id, [verdict])))
        await asyncio.gather(*settled)

    def _acceptance(self, letter: Letter, now: int, *, owned: bool, marked: bool) -> Acceptance:
        message = self.storage.queue.next_message_id(now)
        facts = MessageFacts(
            AUTHOR, (RecipientFacts(_RECIPIENT),), Origin("smtp"), "credential", "first-app",
            header_bytes=letter.content.index(b"\r\n\r\n") + 4,
        )  # fmt: skip
        new = NewMessage(
            message, self.app.id, self.app.id, "live", len(letter.content), AUTHOR.encode(),
            AUTHOR.encode(), b"about the order", f"<{letter.identity}@load.example.test>".encode(),
            now + _LIVES_MS, "retry", facts,
        )  # fmt: skip
        delivery = NewDelivery(
            delivery_id(message, 1), _RECIPIENT.encode(), State.QUEUED, self.lane, now, owned
        )
        return Acceptance(new, now, [letter.content], deliveries=[delivery], marked=marked)

    def _verdict(self, acceptance: Acceptance, event: int, state: State) -> Verdict:
        code = 450 if state is State.DEFERRED else 250
        words = AttemptFacts(number=1, server=self.server.id, code=code, text="as it was")
        (delivery,) = acceptance.deliveries
        return Verdict(
            delivery.id, delivery.recipient, state, 1, event, f"delivery.{state.value}", words,
            acceptance.at,
        )  # fmt: skip
