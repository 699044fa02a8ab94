"""reading messages, and letting go of old ones"""

from __future__ import annotations

import pytest

from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import MessageId, delivery_id
from tests.contract.post import HOUR, NOW, Post


async def test_messages_are_listed_newest_first_and_paged(storage: Storage, post: Post) -> None:
    sent = [await post.accept(at=NOW + n) for n in range(5)]
    first = await storage.messages.newest(MessageFilter(), 3)
    assert [message.id for message in first.messages] == sent[:1:-1]
    rest = await storage.messages.newest(MessageFilter(before=first.before), 10)
    assert [message.id for message in rest.messages] == sent[1::-1]
    assert rest.before is None


async def test_a_list_is_narrowed_by_app_state_recipient_and_time(
    storage: Storage, post: Post
) -> None:
    first = await post.accept("bob@example.org", at=NOW)
    second = await post.accept("Cy@example.net", at=NOW + HOUR)
    await post.settle(delivery_id(second, 1))

    async def ids(**wanted: object) -> list[MessageId]:
        found = await storage.messages.newest(MessageFilter(**wanted), 10)  # type: ignore[arg-type]
        return [message.id for message in found.messages]

    assert await ids(state="handed_over") == [second]
    assert await ids(recipient="cy@EXAMPLE.net") == [second]
    assert await ids(since_ms=NOW + 1) == [second]
    assert await ids(app=post.app.id) == [second, first]
    assert await ids(app=post.account.id) == []


async def test_a_message_that_is_not_there_is_not_found(storage: Storage) -> None:
    with pytest.raises(NotFound):
        await storage.messages.get(MessageId(1))
    with pytest.raises(NotFound):
        await storage.messages.content(MessageId(1))
    with pytest.raises(NotFound):
        await storage.messages.delivery(delivery_id(MessageId(1), 1))
    assert await storage.messages.load([MessageId(1)]) == {}
