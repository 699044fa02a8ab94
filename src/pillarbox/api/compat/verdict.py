"""the fate of a message as the answer of the email service, in the words its clients know"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.handover.receipt import Receipt
from pillarbox.policy.delivery import BIRTH, FINAL, TAKEN, State
from pillarbox.policy.directory import App
from pillarbox.policy.events import AttemptFacts, ServerFacts
from pillarbox.policy.meaning import PHRASES, Category
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.queue import DeliveryRow

_AUTHENTICATION: Final = "Authentication failed"
_REFUSED: Final = "Connection refused"
_TIMED_OUT: Final = "Connection timed out"
_CERTIFICATE: Final = "Certificate error"

_WORDS: Final = {
    Category.LOGIN_REFUSED: _AUTHENTICATION,
    Category.LOGIN_REQUIRED: _AUTHENTICATION,
    Category.LOGIN_UNAVAILABLE: _AUTHENTICATION,
    Category.UNREACHABLE: _REFUSED,
    Category.NO_ANSWER: _TIMED_OUT,
    Category.TLS_FAILED: _CERTIFICATE,
}
"""The words of the table that clients compare with; every other category has its own sentence."""

_SILENT: Final = frozenset(_WORDS) | {Category.GARBAGE, Category.NO_ROUTE, Category.PAUSED}
"""Where the server did not speak of the message, what it said is not passed on."""

_OURS: Final = BIRTH - {State.SUPPRESSED}
_NOTHING: Final = "Nothing was delivered."
_PERHAPS: Final = "The message may have been delivered."
_INTERNAL: Final = 500
_SHOWN_CHARACTERS: Final = 300
_SHORTEST_HIDDEN: Final = 3
_LOOKED_BACK: Final = 200


class NotTaken(RequestError):
    """Nobody took the message."""

    code = "upstream_unreachable"

    def __init__(self, sentence: str, reply_code: int = _INTERNAL) -> None:
        """`reply_code` is that of the SMTP server, where it said no."""
        super().__init__(sentence, status=_INTERNAL)
        self.reply_code = reply_code


async def count_taken(rooms: Rooms, app: App, receipt: Receipt, answer_by: int | None) -> int:
    """How many recipients somebody took, once the message is settled; without `answer_by`, how
    many we took ourselves.

    What is not settled in time is ended, in the same decision that is told to the caller: nothing
    leaves after an error was answered. Raises `NotTaken` where nobody was taken.
    """
    if answer_by is None:
        return sum(state in _OURS for _, _, state in receipt.deliveries)
    try:
        rows = await _settled(rooms, receipt, answer_by)
    except StorageTrouble as error:
        raise NotTaken(f"The outcome could not be read. {_PERHAPS}") from error
    taken = sum(row.state in TAKEN for row in rows)
    if taken:
        return taken
    raise await _reason(rooms, app, rows)


async def _settled(rooms: Rooms, receipt: Receipt, answer_by: int) -> Sequence[DeliveryRow]:
    queue, clock = rooms.storage.queue, rooms.clock
    if await queue.wait_settled(receipt.message, answer_by, clock.now_ms()):
        rows = await rooms.storage.messages.deliveries(receipt.message)
        if all(row.state in FINAL for row in rows):
            return rows
    told = AttemptFacts(category=Category.CALLER_TOLD, words=PHRASES[Category.CALLER_TOLD])
    return await queue.end_unanswered(receipt.message, clock.now_ms(), told)


async def _reason(rooms: Rooms, app: App, rows: Sequence[DeliveryRow]) -> NotTaken:
    """Why nobody was taken: what was last heard about the first recipient that says it."""
    ending = _PERHAPS if any(row.uncertain for row in rows) else _NOTHING
    facts = await _last_heard(rooms, rows)
    if facts is None:
        return NotTaken(f"{_TIMED_OUT}: no mail server took the message in time. {ending}")
    category = facts.category
    if category == Category.PAUSED:
        category = await _why_paused(rooms, app) or category
    subject = "the service" if category == Category.NO_ROUTE else "the mail server"
    sentence = f"{subject} {PHRASES.get(Category(category), 'did not take it')}"
    word = _WORDS.get(Category(category))
    if word is not None:
        return NotTaken(f"{word}: {sentence}. {ending}", facts.code or _INTERNAL)
    sentence = sentence[:1].upper() + sentence[1:]
    if facts.text and category not in _SILENT:
        servers = await rooms.storage.directory.servers(app.id)
        said = " ".join(filter(None, (str(facts.code or ""), facts.status, facts.text)))
        sentence = f"{sentence}: {_hiding(said, servers)[:_SHOWN_CHARACTERS]}"
    return NotTaken(f"{sentence}. {ending}", facts.code or _INTERNAL)


async def _last_heard(rooms: Rooms, rows: Iterable[DeliveryRow]) -> AttemptFacts | None:
    for row in rows:
        for event in reversed(await rooms.storage.events.history(row.last_event)):
            facts = event.data
            if isinstance(facts, AttemptFacts) and _tells(facts):
                return facts
    return None


def _tells(facts: AttemptFacts) -> bool:
    return facts.category in set(Category) and facts.category != Category.CALLER_TOLD


async def _why_paused(rooms: Rooms, app: App) -> str | None:
    """What the servers were paused for, which is what a client can do something about."""
    for event in await rooms.storage.events.recent(_LOOKED_BACK, app=app.id):
        facts = event.data
        if isinstance(facts, ServerFacts) and facts.category in _WORDS:
            return facts.category
    return None


def _hiding(text: str, servers: Iterable[Server]) -> str:
    """`text` without anything that was configured for a server, should it be repeated there."""
    for server in servers:
        password = server.password.reveal() if server.password else ""
        for value in (password, server.username, server.host):
            if len(value) >= _SHORTEST_HIDDEN:
                text = re.sub(re.escape(value), "***", text, flags=re.IGNORECASE)
    return text
