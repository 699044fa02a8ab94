"""events: what happened, in the order in which it was committed"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import visible_accounts, visible_apps
from pillarbox.api.paging import format_position, limit_of, page, position_of, read_query
from pillarbox.message.options import tags_of
from pillarbox.policy.directory import App
from pillarbox.policy.events import (
    EVENT_KINDS,
    AttemptFacts,
    LeftFacts,
    OptionFacts,
    ServerFacts,
    SwitchFacts,
    VisitFacts,
)
from pillarbox.policy.meaning import Category
from pillarbox.policy.server import Server
from pillarbox.policy.tracking import visit_words
from pillarbox.storage.interface.events import LogPosition, StoredEvent, advanced
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import (
    MessageId,
    ObjectId,
    format_delivery_id,
    format_message_id,
    format_object_id,
    message_of,
    ordinal_of,
)

_PAGES: Final = 20
"""How many pages one call looks through for the events of the apps a caller sees."""


class ServerNames:
    """The names behind the ids of servers, looked up once a request."""

    def __init__(self, servers: Mapping[ObjectId, Server]) -> None:
        self._servers = servers

    @classmethod
    async def of_apps(cls, call: Call, apps: Mapping[ObjectId, App]) -> ServerNames:
        """All servers of some apps."""
        directory = call.rooms.storage.directory
        return cls({each.id: each for app in apps for each in await directory.servers(app)})

    @property
    def all(self) -> list[Server]:
        """The servers themselves."""
        return list(self._servers.values())

    def name_of(self, server: bytes) -> str:
        """Empty where it is not known any more."""
        found = self._servers.get(ObjectId(server))
        return found.name if found else ""

    def subject_of(self, facts: AttemptFacts) -> str:
        """Who the words of an attempt speak of: they are the end of a sentence. Empty where they
        name their servers themselves.
        """
        if facts.category == Category.NO_ROUTE and not facts.words.startswith("the app "):
            return "The app"
        named = any(facts.words.startswith(f"{each.label} ") for each in self._servers.values())
        if named or facts.words.startswith("the app "):
            return ""
        return self.name_of(facts.server) or "The server"

    def words_of(self, event: StoredEvent) -> str:
        """An event as a sentence for a person."""
        facts = event.data
        kind = EVENT_KINDS.get(event.kind)
        about = kind.about if kind else ""
        if isinstance(facts, AttemptFacts) and facts.words:
            sentence = f"{self.subject_of(facts)} {facts.words}".lstrip()
            return (
                f"{sentence[:1].upper()}{sentence[1:]}."
                if sentence[:4] == "the "
                else f"{sentence}."
            )
        if isinstance(facts, OptionFacts):
            return f"{facts.name}: {facts.value} was not obeyed; {facts.reason}."
        if isinstance(facts, LeftFacts):
            return " ".join(facts.remarks) or about
        if isinstance(facts, ServerFacts) and facts.words:
            return f"{facts.name or 'The server'} {facts.words}."
        if isinstance(facts, SwitchFacts):
            again = "again" if event.kind == "server.enabled" else "no more"
            return (
                f"{facts.name} is used {again} ({facts.by}{facts.reason and ': '}{facts.reason})."
            )
        if isinstance(facts, VisitFacts):
            return visit_words(event.kind, facts.position, facts.url, facts.verdict, facts.rule)
        return str(getattr(facts, "words", "") or getattr(facts, "reason", "") or about)


def event_view(
    event: StoredEvent, app: str, servers: ServerNames, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """An event as programs see it, with the tags of its message."""
    of_message = event.delivery != 0
    of_delivery = of_message and ordinal_of(event.delivery) != 0
    return {
        "seq": event.seq,
        "at": format_instant(event.at),
        "kind": event.kind,
        "app": app,
        "message": format_message_id(message_of(event.delivery)) if of_message else None,
        "delivery": format_delivery_id(event.delivery) if of_delivery else None,
        "tags": tags,
        "words": servers.words_of(event),
        "facts": {} if event.data is None else _facts_view(event.data, servers),
    }


def _facts_view(facts: Struct, servers: ServerNames) -> dict[str, Any]:
    view: dict[str, Any] = {}
    for name in facts.__struct_fields__:
        value = getattr(facts, name)
        if name == "server":
            view["server"] = format_object_id("srv", ObjectId(value)) if value else None
            view["server_name"] = servers.name_of(value)
        elif name.endswith("_at"):
            view[name] = format_instant(value) if value else None
        elif name == "steps":
            view[name] = [
                {"name": step, "result": result, "milliseconds": ms, "words": words}
                for step, result, ms, words in value
            ]
        elif name == "dialogue":
            view[name] = [{"ms": ms, "line": line} for ms, line in value]
        elif name == "message":
            view[name] = format_message_id(MessageId(value)) if value else None
        elif isinstance(value, bytes):
            view[name] = value.hex()
        else:
            view[name] = value
    return view


async def list_events(call: Call) -> Response:
    """Behind a cursor, oldest first; without one the newest, newest first.

    The cursor names the last event of each node. It also moves over events of apps that the caller
    does not see.
    """
    query = read_query(call.request, "after", "limit")
    limit = limit_of(query)
    apps = {app.id: app for app in await visible_apps(call)}
    servers = await ServerNames.of_apps(call, apps)
    names = {app.id: app.name for app in apps.values()}
    if call.caller.app is None:
        # What concerns no app is told of the account: its sending domains.
        names |= {account.id: "" for account in await visible_accounts(call)}
    cursor: LogPosition
    if "after" in query:
        cursor, found = await _behind(call, position_of(query, "after"), limit, names)
    else:
        cursor = await call.rooms.storage.events.position()
        found = await call.rooms.storage.events.recent(limit, app=call.caller.app)
    seen = [event for event in found if event.app in names]
    tags = await _tags(call, seen)
    items = [
        event_view(event, names[event.app], servers, tags.get(message_of(event.delivery), ()))
        for event in seen
    ]
    return answer(page(items, format_position(cursor)))


async def _tags(call: Call, events: Sequence[StoredEvent]) -> dict[MessageId, tuple[str, ...]]:
    """They lie once, with the message; retention may have removed it."""
    numbers = {message_of(event.delivery) for event in events if event.delivery}
    messages = await call.rooms.storage.messages.load(sorted(numbers))
    return {number: tags_of(message.facts.options) for number, message in messages.items()}


async def _behind(
    call: Call, cursor: LogPosition, limit: int, seen: Mapping[ObjectId, str]
) -> tuple[LogPosition, list[StoredEvent]]:
    found: list[StoredEvent] = []
    for _ in range(_PAGES):
        events = await call.rooms.storage.events.read(cursor, limit)
        for event in events:
            cursor = advanced(cursor, [event])
            if event.app in seen:
                found.append(event)
                if len(found) == limit:
                    return cursor, found
        if len(events) < limit:
            break
    return cursor, found


ENTRIES: Final = (Entry("GET", "/events", Verb.READ, list_events),)
