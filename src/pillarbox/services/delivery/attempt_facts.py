"""the facts of an attempt, as its event keeps them"""

from __future__ import annotations

from pillarbox.handover.outgoing import Addressee
from pillarbox.message.default_sender import DefaultSender
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server
from pillarbox.services.delivery.given import Given


def facts_of(
    addressee: Addressee, outcome: Outcome, given: Given | None, server: Server | None
) -> AttemptFacts:
    """One recipient's part in it; `given` is None where nothing was offered."""
    number = addressee.attempts + 1
    identity = server.id if server is not None else b""
    if given is None:
        return AttemptFacts(
            number=number, server=identity, category=outcome.category, code=outcome.code,
            status=outcome.status, text=outcome.text, words=outcome.words,
        )  # fmt: skip
    words, sender = outcome.words, ""
    if given.sender is not None:
        words, sender = _with_sender(words, given.sender, taken=outcome.taken)
    return AttemptFacts(
        number, identity, given.session, outcome.category, outcome.code, outcome.status,
        outcome.text, given.dialogue, 0, given.digest, given.renderer, words, sender,
    )  # fmt: skip


def _with_sender(words: str, sender: DefaultSender, *, taken: bool) -> tuple[str, str]:
    if not taken:
        return words, sender.text
    place = "author" if sender.for_author else "return path"
    return f"{words} with its default sender {sender.address} as {place}", sender.text
