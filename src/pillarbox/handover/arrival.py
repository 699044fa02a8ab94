"""a message between its arrival and its commit, and whether it may try again

The door builds it anew from the same things where the commit said that some recipients were taken
before, or that a limit is reached and the login's mail is held then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from pillarbox.handover.outgoing import Outgoing
from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.facts import Origin
from pillarbox.message.hygiene import Tidied
from pillarbox.message.options import idempotency_key
from pillarbox.policy.credential import Once, OverLimit
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.limits import Rate, limit_passed
from pillarbox.policy.submitter import Submitter
from pillarbox.storage.interface.companions import (
    Companion,
    RecordRecipients,
    SpendLimit,
    recipient_mark,
)
from pillarbox.storage.interface.errors import LimitReached, RecipientsTaken
from pillarbox.terms.errors import PillarboxError, Trouble
from pillarbox.terms.ids import MessageId, format_message_id

Told = Callable[[Receipt | None, BaseException | None], None]
"""Hears that a message is ours, with its receipt, or why it is not."""


class Arrival:
    """What was handed over, and what was made of it so far."""

    __slots__ = (
        "answer_by", "companions", "content", "envelope", "held", "key", "now_ms", "options",
        "origin", "outgoing", "reason", "receipt", "size", "subject", "submitter", "told",
    )  # fmt: skip

    def __init__(
        self,
        envelope: Envelope,
        content: Content,
        submitter: Submitter,
        origin: Origin,
        told: Told,
        options: Mapping[str, str] | None,
        answer_by: int | None,
        companions: Sequence[Companion],
    ) -> None:
        """As `Door.accept` takes them."""
        self.envelope = envelope
        self.content = content
        self.submitter = submitter
        self.origin = origin
        self.told = told
        self.options = options
        self.answer_by = answer_by
        self.companions = companions
        self.held = False
        """Whether it waits for a person because a limit was reached."""
        self.reason = ""
        """Why it is held, in words."""
        self.key = b""
        """By which it is recognised when it is handed in again; empty for nothing."""
        self.now_ms = 0
        self.receipt: Receipt | None = None
        self.outgoing: Sequence[Outgoing] = ()
        """Delivered from memory once it is committed, one for each lane."""
        self.size = 0
        self.subject = b""

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Those that were not taken before, as far as is known."""
        return self.envelope.recipients

    def recognise(self, tidied: Tidied) -> None:
        """Find the key in its header. Raises `InvalidOption`."""
        submitter = self.submitter
        if tidied.options and not submitter.relays:
            given = idempotency_key(tidied.options)
            if given:
                self._recognised(b"k:" + given.encode("utf-8", "replace"))
                return
        if submitter.once is Once.MESSAGE_ID and tidied.message_id:
            self._recognised(b"m:" + tidied.message_id)

    def _recognised(self, key: bytes) -> None:
        self.key = key
        if len(self.recipients) > 1:
            # One that is named twice would look as if it had been taken before.
            named = {recipient.address: recipient for recipient in reversed(self.recipients)}
            self._leave(tuple(reversed(named.values())))

    def accompanied(self) -> Sequence[Companion]:
        """What commits with it."""
        submitter, key = self.submitter, self.key
        if not key and (self.held or not submitter.rates):
            return self.companions
        companions = list(self.companions)
        if key:
            marks = tuple(recipient_mark(key, one.address) for one in self.recipients)
            companions.append(RecordRecipients(submitter.id, marks))
        if not self.held:
            wanted = len(self.recipients)
            companions += [
                SpendLimit(rate.name, rate.period_ms, rate.most, wanted) for rate in submitter.rates
            ]
        return companions

    def without(self, error: RecipientsTaken) -> Receipt | None:
        """Leave out who was taken before; where nobody is left, the receipt given then. Raises
        `Trouble` where that names nobody of them: what is not known to be taken is not called ours.
        """
        taken, key = error.taken, self.key
        left = tuple(
            one for one in self.recipients if recipient_mark(key, one.address) not in taken
        )
        if len(left) == len(self.recipients):
            raise Trouble("It is not clear who was taken before.", detail=f"marks: {len(taken)}")
        if left:
            self._leave(left)
            return None
        earlier = MessageId(max(taken.values(), default=0))
        return Receipt(earlier, format_message_id(earlier), [])

    def over(self, error: LimitReached) -> PillarboxError | None:
        """What to say of a limit that is reached; None where it is held instead."""
        submitter = self.submitter
        rate = self.rate(error)
        if rate is None:
            return error
        refusal = limit_passed(
            rate, len(self.recipients), error.ends_at, self.now_ms, submitter.over_limit
        )
        if submitter.over_limit is not OverLimit.HOLD:
            return refusal
        self.held = True
        self.reason = refusal.sentence
        return None

    def rate(self, error: LimitReached) -> Rate | None:
        """Which of the submitter's rates was reached; None where it was another limit."""
        return next((each for each in self.submitter.rates if each.name == error.limit), None)

    def _leave(self, recipients: tuple[Recipient, ...]) -> None:
        self.envelope = msgspec.structs.replace(self.envelope, recipients=recipients)
