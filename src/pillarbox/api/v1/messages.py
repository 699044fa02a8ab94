"""messages: handing one over, finding it again, and what became of it"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import find_app, find_message, message_id, visible_apps
from pillarbox.api.paging import instant_of, limit_of, page, read_query
from pillarbox.api.v1.events import ServerNames
from pillarbox.api.v1.queue import read_state
from pillarbox.api.v1.standing import delivery_line, delivery_view, message_view
from pillarbox.api.v1.submission import add_message
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.terms.ids import format_message_id

_SHOWN_RECIPIENTS: Final = 3
RAW_TYPE: Final = "text/plain"


async def list_messages(call: Call) -> Response:
    """Newest first. With a filter a page may be short although there is more: follow ``next``."""
    query = read_query(call.request, "app", "state", "recipient", "since", "before", "limit")
    limit = limit_of(query)
    app = await find_app(call, query["app"]) if "app" in query else None
    apps = {each.id: each for each in await visible_apps(call)}
    wanted = MessageFilter(
        app=app.id if app else call.caller.app,
        state=read_state(query["state"]).value if "state" in query else None,
        recipient=query.get("recipient"),
        since_ms=instant_of(query, "since", call.now_ms),
        before=message_id(query["before"]) if "before" in query else None,
    )
    messages = call.rooms.storage.messages
    found = await messages.newest(wanted, limit)
    items = []
    for message in found.messages:
        if message.app in apps:
            rows = await messages.deliveries(message.id)
            items.append(
                {
                    **message_view(message, apps[message.app], rows),
                    "recipients": [row.recipient for row in rows[:_SHOWN_RECIPIENTS]],
                    "recipient_count": len(rows),
                }
            )
    following = format_message_id(found.before) if found.before is not None else None
    return answer(page(items, following))


async def show_message(call: Call) -> Response:
    """One message with every recipient's standing and history."""
    read_query(call.request)
    app, message = await find_message(call, call.part("message"))
    rows = await call.rooms.storage.messages.deliveries(message.id)
    servers = await ServerNames.of_apps(call, {app.id: app})
    document = message_view(message, app, rows)
    document["deliveries"] = [
        await delivery_view(call, message, app, row, servers)
        if number < _WITH_HISTORY
        else delivery_line(row)
        for number, row in enumerate(rows)
    ]
    return answer(document)


_WITH_HISTORY: Final = 200
"""The recipients of one message whose history is told; the others' standing is."""


async def show_raw(call: Call) -> Response:
    """The content as it is stored, block by block."""
    read_query(call.request)
    _, message = await find_message(call, call.part("message"))
    blocks = call.rooms.storage.messages.blocks(message.id)
    first = await anext(blocks, b"")

    async def all_blocks() -> AsyncIterator[bytes]:
        yield first
        async for block in blocks:
            yield block

    return StreamingResponse(
        all_blocks(),
        headers={"Content-Length": str(message.size), "Content-Disposition": "inline"},
        media_type=RAW_TYPE,
    )


ENTRIES: Final = (
    Entry("POST", "/messages", Verb.SEND, add_message),
    Entry("GET", "/messages", Verb.READ, list_messages),
    Entry("GET", "/messages/{message}", Verb.READ, show_message),
    Entry("GET", "/messages/{message}/raw", Verb.READ, show_raw),
)
