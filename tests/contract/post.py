"""makes acceptances and settlements for the contract tests"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from pillarbox.message.facts import MessageFacts, Origin, RecipientFacts
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Account, App
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.interface.acceptance import Acceptance, NewDelivery, NewMessage
from pillarbox.storage.interface.companions import Companion, NewObligation
from pillarbox.storage.interface.queue import LaneName, Waiting
from pillarbox.storage.interface.settlement import Settlement, Verdict
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import DeliveryId, MessageId, delivery_id, new_object_id
from tests.waited import accept, settle

NOW = 1_800_000_000_000
HOUR = 3_600_000


@dataclass
class Post:
    """One app with one lane, and messages for it."""

    storage: Storage
    account: Account
    app: App
    lane: int
    sent: list[MessageId] = field(default_factory=list)

    @classmethod
    async def into(cls, storage: Storage) -> Self:
        account = Account(new_object_id(), "default")
        app = App(new_object_id(), account.id, "first-app")
        await storage.directory.save_account(account)
        await storage.directory.save_app(app)
        lane = await storage.queue.lane(LaneName(app.id, "servers", "*"))
        return cls(storage, account, app, lane)

    def onto(self, storage: Storage) -> Post:
        """The same app and lane in a store that was opened again."""
        return replace(self, storage=storage)

    def acceptance(
        self,
        *recipients: str,
        state: State = State.QUEUED,
        mirrored: bool = False,
        marked: bool = False,
        uncertain: str = "retry",
        body: bytes = b"Subject: hello\r\n\r\nworld\r\n",
        at: int = NOW,
        due_at: int | None = None,
        expires_at: int = NOW + 48 * HOUR,
        answer_by: int | None = None,
        companions: tuple[Companion, ...] = (),
        message: MessageId | None = None,
        stored_blocks: int = 0,
        return_path: bytes = b"ann@example.com",
    ) -> Acceptance:
        addresses = recipients or ("bob@example.org",)
        chosen = message or self.storage.queue.next_message_id(at)
        self.sent.append(chosen)
        facts = MessageFacts(
            return_path.decode("utf-8", "replace"),
            tuple(RecipientFacts(address) for address in addresses),
            Origin("smtp"),
            "credential",
            "first-app",
            uncertain=uncertain,
        )
        return Acceptance(
            message=NewMessage(
                chosen, self.app.id, self.app.id, "live", len(body), return_path,
                b"ann@example.com", b"hello", b"<1@example.com>", expires_at, uncertain, facts,
                answer_by,
            ),
            at=at,
            blocks=[body],
            stored_blocks=stored_blocks,
            deliveries=[
                NewDelivery(
                    delivery_id(chosen, n), address.encode(), state, self.lane,
                    at if due_at is None else due_at, mirrored,
                )
                for n, address in enumerate(addresses, 1)
            ],
            marked=marked,
            companions=companions,
        )  # fmt: skip

    async def accept(self, *recipients: str, **wishes: object) -> MessageId:
        """Accept a message; gives its id."""
        acceptance = self.acceptance(*recipients, **wishes)  # type: ignore[arg-type]
        await accept(self.storage.queue, acceptance)
        return acceptance.message.id

    async def verdict(
        self,
        delivery: DeliveryId,
        state: State = State.HANDED_OVER,
        *,
        due_at: int = 0,
        uncertain: bool = False,
        words: str = "",
    ) -> Verdict:
        """A verdict on a waiting delivery, with its history so far."""
        row = await self.storage.messages.delivery(delivery)
        return Verdict(
            delivery, row.recipient.encode(), state, row.attempts + 1, row.last_event,
            f"delivery.{state.value}", AttemptFacts(number=row.attempts + 1, words=words), due_at,
            uncertain,
        )  # fmt: skip

    def settlement(self, *verdicts: Verdict, owed: str = "", at: int = NOW) -> Settlement:
        """What ▣2 writes for some verdicts; `owed` is the kind of notice owed for each."""
        obligations = [
            NewObligation(owed, self.app.id, verdict.delivery, at) for verdict in verdicts if owed
        ]
        return Settlement(at, self.app.id, verdicts, obligations)

    async def settle(
        self, delivery: DeliveryId, state: State = State.HANDED_OVER, **wishes: object
    ) -> None:
        """Settle one delivery."""
        verdict = await self.verdict(delivery, state, **wishes)  # type: ignore[arg-type]
        await settle(self.storage.queue, self.settlement(verdict))


async def claimed_of(
    storage: Storage,
    lane: int,
    after: tuple[int, int] = (0, 0),
    *,
    now_ms: int = NOW,
    limit: int = 10,
) -> list[Waiting]:
    """What is due in a lane, claimed and given back."""
    await storage.queue.heads()
    rows, _ = await storage.queue.claim(lane, after, now_ms, limit)
    storage.queue.finished([row.delivery for row in rows])
    return rows
