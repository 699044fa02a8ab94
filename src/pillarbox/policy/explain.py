"""why a delivery stands as it does, what it waits for, until when, what comes next; in words"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.policy.advice import card_of
from pillarbox.policy.delivery import FINAL, STATE_WORDS, State
from pillarbox.policy.routing import BARRED
from pillarbox.terms.clock import format_duration, format_instant

_WHILE_BARRED = "Enable it, or send the mail another way: pillarbox queue move."
"""What helps where the only way is disabled; no pause ends by itself there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one delivery, from its row and its last event."""

    state: State
    attempts: int = 0
    due_at: int = 0
    expires_at: int = 0
    category: str = ""
    words: str = ""
    """Of the last outcome: the server's name and what it did, or the end of such a sentence."""
    server: str = ""
    """Name of the server that gave the last outcome, empty where `words` names it."""
    code: int = 0
    status: str = ""
    text: str = ""
    uncertain: bool = False
    min_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences for a person. Each may be empty, but for the first two."""

    word: str
    about: str
    why: str = ""
    what_next: str = ""
    advice: str = ""

    @property
    def text(self) -> str:
        """All of it, in the order in which it is read."""
        parts = (f"{self.word}: {self.about}", self.why, self.what_next, self.advice)
        return " ".join(part for part in parts if part)


def explain(standing: Standing, now_ms: int) -> Explanation:
    """Why a delivery stands where it stands, and what comes next."""
    word, about = STATE_WORDS[standing.state]
    card = card_of(standing.category) if standing.category else None
    advice = card.advice if card and standing.state is not State.CANCELLED else ""
    return Explanation(
        word=word,
        about=about,
        why=_why(standing),
        what_next=_next(standing, now_ms),
        advice=_WHILE_BARRED if standing.words.endswith(BARRED) and advice else advice,
    )


def _why(standing: Standing) -> str:
    sentence = ""
    if standing.words:
        subject = f"{standing.server} " if standing.server else ""
        sentence = _sentence(subject + standing.words)
    said = " ".join(filter(None, (str(standing.code or ""), standing.status, standing.text)))
    if standing.code and said not in sentence:
        sentence = f"{sentence} The server said: {said}".lstrip()
    if standing.uncertain and standing.state not in FINAL:
        sentence = f"{sentence} It may have been delivered already.".lstrip()
    return sentence


def after_that(standing: Standing, now_ms: int, wait_ms: int) -> str:
    """What happens where the next attempt does not succeed either; empty where there is none.

    `wait_ms` is how long would be waited behind it.
    """
    if standing.state not in (State.QUEUED, State.DEFERRED, State.ACTIVE, State.SCHEDULED):
        return ""
    number = standing.attempts + 1
    follows_at = max(standing.due_at, now_ms) + wait_ms
    late = standing.expires_at and max(standing.due_at, now_ms) >= standing.expires_at
    if late and number >= standing.min_attempts:
        return "Should that fail as well, it expires, and its sender is told."
    return (
        f"Should that fail as well, attempt {number + 1} follows about "
        f"{format_duration(wait_ms / 1000)} later, {when(follows_at, now_ms)}."
    )


def _next(standing: Standing, now_ms: int) -> str:
    match standing.state:
        case State.SCHEDULED:
            return f"It is queued {when(standing.due_at, now_ms)}."
        case State.QUEUED if standing.due_at > now_ms:
            return f"It is tried {when(standing.due_at, now_ms)}."
        case State.QUEUED:
            return "It is tried as soon as there is room in its lane."
        case State.ACTIVE:
            return "The attempt ends within minutes; look again then."
        case State.DEFERRED:
            return _next_attempt(standing, now_ms)
        case State.HELD if standing.uncertain:
            return "Release it to send it again, perhaps a second time, or cancel it."
        case State.HELD:
            return "Release it to send it, or cancel it."
        case State.HANDED_OVER:
            return "If that server cannot deliver it, a report is expected by mail."
        case _:
            return ""


def _next_attempt(standing: Standing, now_ms: int) -> str:
    sentence = f"Attempt {standing.attempts + 1} follows {when(standing.due_at, now_ms)}."
    if not standing.expires_at:
        return sentence
    if standing.expires_at > now_ms:
        return f"{sentence} We give up {when(standing.expires_at, now_ms)} at the earliest."
    if standing.attempts + 1 < standing.min_attempts:
        return f"{sentence} We give up after {standing.min_attempts} attempts."
    return f"{sentence} It is the last one."


def when(at_ms: int, now_ms: int) -> str:
    """``now``, or ``in 12m (2027-01-15T08:12:00.000Z)``."""
    if at_ms <= now_ms:
        return "now"
    return f"in {format_duration((at_ms - now_ms) / 1000)} ({format_instant(at_ms)})"


def _sentence(words: str) -> str:
    # A server's name keeps its letters; only our own words begin like a sentence.
    begun = "T" + words[1:] if words.startswith("the ") else words
    return begun if begun.endswith((".", "!", "?")) else begun + "."
