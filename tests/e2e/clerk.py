"""somebody who manages a whole house over HTTP, and looks at what became of its mail"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from pillarbox.net.http_client import Answer, LocalClient
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.terms.ids import parse_message_id
from tests.doubles.bad_server import BadServer
from tests.doubles.records import MessageRecord
from tests.fix_house import Running

API = "/pillarbox/v1"
_QUEUED = re.compile(rb"250 2\.0\.0 [^\r\n]*queued as (msg_[0-9A-Za-z]+)\r\n")


@dataclass(frozen=True, slots=True)
class Login:
    """What whoever makes a login is given, once."""

    username: str
    password: str
    document: dict[str, Any]
    """All of the answer."""


async def ask(
    running: Running, method: str, path: str, document: object = None, **headers: str
) -> Answer:
    """One request over a socket; with the first key where `headers` name none."""
    assert running.first is not None
    shown = headers or {"authorization": f"Bearer {running.first.key.reveal()}"}
    with LocalClient(f"http://127.0.0.1:{running.http_port}", headers=shown) as client:
        return await asyncio.to_thread(client.request, method, path, document)


async def add_login(running: Running, name: str, **facts: object) -> Login:
    """A new login of the first app."""
    answer = await ask(running, "POST", f"{API}/credentials", {"name": name, **facts})
    assert answer.status == 201, answer.body
    made = answer.json()
    return Login(made["username"], made["password"], made)


async def show(running: Running, path: str) -> Any:
    """What is said about a thing that is there."""
    answer = await ask(running, "GET", API + path)
    assert answer.status == 200, answer.body
    return answer.json()


def queued_as(reply: bytes) -> str:
    """The id in the answer to content that was taken."""
    found = _QUEUED.fullmatch(reply)
    assert found is not None, reply
    return found[1].decode()


async def options_of(running: Running, message: str) -> dict[str, tuple[str, str]]:
    """What holds for a message and who said so; the API and the store agree about it."""
    shown = (await show(running, f"/messages/{message}"))["options"]
    stored = await running.house.storage.messages.get(parse_message_id(message))
    options = stored.facts.options
    assert shown == {name: option.value for name, option in options.items()}
    return {name: (option.value, option.origin) for name, option in options.items()}


async def nothing_taken(running: Running) -> bool:
    """Whether there is no message at all, and so nothing to deliver."""
    page = await running.house.storage.messages.newest(MessageFilter(), 1)
    depths = await running.house.storage.queue.depths()
    return not page.messages and not sum(depth.waiting for depth in depths)


async def arrived(running: Running, sink: BadServer, message: str) -> MessageRecord:
    """The one transaction in which a message left, once all its recipients are settled."""
    await running.until(parse_message_id(message))
    (record,) = [each for each in sink.delivered if message.encode() in each.content]
    return record
