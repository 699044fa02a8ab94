"""asking for no more, over real sockets: what counts, what does not, and that it is told once"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.tokens import TokenKind
from pillarbox.policy.directory import Mode
from pillarbox.policy.events import UnsubscribedFacts
from pillarbox.storage.interface.events import StoredEvent
from tests.doubles.bad_server import BadServer
from tests.doubles.reader import Reader, Told
from tests.fix_house import Houses
from tests.fix_tracking import LOOPBACK, Tracked, begin_tracking

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ONE_CLICK = b"List-Unsubscribe=One-Click"


async def way_out(tracked: Tracked, delivery: int | None = None) -> str:
    token = await tracked.token(TokenKind.UNSUBSCRIBE, position=0, delivery=delivery)
    return f"/{token}/unsubscribe"


async def told(tracked: Tracked) -> list[StoredEvent]:
    return await tracked.running.house.storage.visits.of_delivery(tracked.delivery, 100)


async def click(tracked: Tracked, path: str, body: bytes = ONE_CLICK) -> Told:
    return await tracked.reader.ask(path, method="POST", fields=FORM, body=body)


async def test_one_click_unsubscribes_without_a_redirect_and_without_a_cookie(
    tracked: Tracked,
) -> None:
    answer = await click(tracked, await way_out(tracked))
    assert answer.status == 200
    assert not {"location", "set-cookie", "refresh"} & set(answer.fields)
    assert answer.fields["cache-control"] == "no-store"
    (event,) = await told(tracked)
    assert event.kind == "message.unsubscribed"
    assert event.app == tracked.running.app.id
    assert isinstance(event.data, UnsubscribedFacts)
    assert event.data.address == "127.0.0.1"
    assert event.data.agent.startswith("Mozilla/")


async def test_it_is_told_once_however_often_it_is_asked(tracked: Tracked) -> None:
    path = await way_out(tracked)
    answers = await asyncio.gather(*(click(tracked, path) for _ in range(8)))
    assert {each.status for each in answers} == {200}
    assert (await click(tracked, path)).status == 200
    assert len(await told(tracked)) == 1


async def test_a_form_in_parts_counts_as_well(tracked: Tracked) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    fields = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await tracked.reader.ask(
        await way_out(tracked), method="POST", fields=fields, body=body
    )
    assert answer.status == 200
    assert len(await told(tracked)) == 1


async def test_looking_shows_one_button_and_changes_nothing(tracked: Tracked) -> None:
    path = await way_out(tracked)
    page = await tracked.reader.ask(path)
    assert page.status == 200
    text = page.body.decode()
    assert text.count("<button") == 1 and ">Unsubscribe</button>" in text
    assert "text-align:center" in text.partition("</style>")[0]
    assert "style-src 'unsafe-inline'" in page.fields["content-security-policy"]
    assert '<form method="post">' in text
    assert not re.search(r"<script|<img|https?://|refresh|onload", text, re.IGNORECASE)
    assert "form-action 'self'" in page.fields["content-security-policy"]
    head = await tracked.reader.ask(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert await told(tracked) == []


async def test_the_button_says_what_a_mail_service_says(tracked: Tracked) -> None:
    path = await way_out(tracked)
    text = (await tracked.reader.ask(path)).body.decode()
    found = re.search(r'<button name="([^"]+)" value="([^"]+)">', text)
    assert found is not None
    answer = await click(tracked, path, f"{found[1]}={found[2]}".encode())
    assert answer.status == 200
    assert len(await told(tracked)) == 1


@pytest.mark.parametrize(
    "body", [b"", b"x=1", ONE_CLICK + b"&x=1", b"List-Unsubscribe=Two", ONE_CLICK.lower()]
)
async def test_any_other_request_is_refused_and_changes_nothing(
    tracked: Tracked, body: bytes
) -> None:
    assert (await click(tracked, await way_out(tracked), body)).status == 400
    assert await told(tracked) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_change_nothing(tracked: Tracked, method: str) -> None:
    answer = await tracked.reader.ask(await way_out(tracked), method=method, body=ONE_CLICK)
    assert answer.status == 405
    assert answer.fields["allow"] == "GET, HEAD, POST"
    assert await told(tracked) == []


async def test_a_token_of_another_kind_or_an_altered_one_unsubscribes_nobody(
    tracked: Tracked,
) -> None:
    kinds = (TokenKind.CLICK, TokenKind.IMAGE, TokenKind.PIXEL, TokenKind.HOSTED)
    for kind in kinds:
        token = await tracked.token(kind, "https://example.com/")
        answer = await click(tracked, f"/{token}/unsubscribe")
        assert answer.status in (404, 405)
    good = await tracked.token(TokenKind.UNSUBSCRIBE, position=0)
    for at in range(len(good)):
        other = "A" if good[at] != "A" else "B"
        answer = await click(tracked, f"/{good[:at]}{other}{good[at + 1 :]}/unsubscribe")
        assert answer.status == 404
    assert await told(tracked) == []


async def test_a_link_whose_message_is_gone_says_so_and_is_no_success(tracked: Tracked) -> None:
    answer = await click(tracked, await way_out(tracked, 1 << 40 | 1))
    assert answer.status == 410
    assert b"too old" in answer.body


async def test_a_link_of_a_revoked_key_unsubscribes_nobody_and_says_what_to_do(
    tracked: Tracked,
) -> None:
    path = await way_out(tracked)
    house = tracked.running.house
    await house.storage.keys.revoke_token_key(1, house.clock.now_ms())
    for answer in (await tracked.reader.ask(path), await click(tracked, path)):
        assert answer.status == 404
        assert b"answer the message" in answer.body
        assert b"<form" not in answer.body
    assert await told(tracked) == []


async def test_without_personal_data_it_is_told_and_nobody_is_named(houses: Houses) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, personal_data=False))
    assert (await click(tracked, await way_out(tracked))).status == 200
    (event,) = await told(tracked)
    assert event.data == UnsubscribedFacts()


async def test_it_is_told_once_also_after_a_restart(houses: Houses, tracked: Tracked) -> None:
    await click(tracked, await way_out(tracked))
    path = await way_out(tracked)
    running = await houses.start(tracking_host=LOOPBACK)
    (port, *_) = running.house.tracking.ports
    later = Tracked(running, type(tracked.reader)(port), tracked.delivery)
    assert (await click(later, path)).status == 200
    assert len(await told(later)) == 1


async def test_mail_that_asks_for_it_brings_each_recipient_a_way_out_of_his_own(
    houses: Houses,
) -> None:
    async with BadServer() as sink:
        running = await houses.start(
            Mode.LIVE, tracking=TrackingConfig(host="t.example.test"), tracking_host=LOOPBACK
        )
        await running.add_server("sink", sink.port)
        content = b"From: ann@example.com\r\nX-Pillarbox-Unsubscribe: yes\r\n\r\nNews.\r\n"
        receipt = await running.submit("a@example.org", "b@example.org", content=content)
        rows = {row.recipient: row for row in await running.until(receipt.message)}
        (port, *_) = running.house.tracking.ports
        visits = running.house.storage.visits
        for sent in sink.delivered:
            (recipient,) = sent.recipients
            (field,) = sent.header("List-Unsubscribe")
            assert sent.header("List-Unsubscribe-Post") == [b"List-Unsubscribe=One-Click"]
            address = urlsplit(field.decode().strip("<>"))
            assert (address.scheme, address.netloc) == ("https", "t.example.test")
            reader = Reader(port)
            answer = await reader.ask(address.path, method="POST", fields=FORM, body=ONE_CLICK)
            assert answer.status == 200
            (event,) = await visits.of_delivery(rows[recipient.address].delivery, 10)
            assert event.kind == "message.unsubscribed"
        assert len(sink.delivered) == 2
