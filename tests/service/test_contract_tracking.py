"""the contract about tracked links and images: where they lead, and what is recorded of it"""

from __future__ import annotations

import pytest

from pillarbox.message.tokens import TokenKind
from pillarbox.terms.ids import format_delivery_id, format_message_id, message_of
from tests.doubles.reader import FIREFOX
from tests.doubles.web_server import WebReply, WebServer
from tests.e2e.clerk import show
from tests.fix_tracking import Tracked

URL = "https://www.example.com/shop/item%20one?id=7&ref=a%26b#reviews"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256))


async def told_of(tracked: Tracked) -> dict[str, object]:
    """The one visit, as the API has it with the message and among the events: the same."""
    await tracked.visits(1)
    message = format_message_id(message_of(tracked.delivery))
    (delivery,) = (await show(tracked.running, f"/messages/{message}"))["deliveries"]
    (visit,) = delivery["visits"]
    newest = (await show(tracked.running, "/events?limit=1"))["items"][0]
    assert newest == visit
    assert (visit["message"], visit["delivery"]) == (message, format_delivery_id(tracked.delivery))
    return visit


async def test_a31_a_rewritten_link_redirects_to_the_exact_original(tracked: Tracked) -> None:
    told = await tracked.reader.ask(await tracked.link(URL))
    assert (told.status, told.location) == (302, URL)


async def test_a32_a_click_is_recorded_with_message_recipient_address_and_link(
    tracked: Tracked,
) -> None:
    await tracked.reader.ask(await tracked.link(URL, 3))
    visit = await told_of(tracked)
    assert visit["kind"] == "message.clicked"
    assert visit["facts"] == {
        "url": URL, "position": 3, "address": "127.0.0.1", "agent": FIREFOX, "verdict": "person",
        "rule": "none",
    }  # fmt: skip
    assert visit["words"] == f"Somebody followed link 3, {URL}."


@pytest.mark.parametrize(
    "path", ["/unknown", "/AQAB" + "A" * 60, "/unknown?u=https://evil.example/"]
)
async def test_a38_an_unknown_or_forged_link_leads_nowhere(tracked: Tracked, path: str) -> None:
    told = await tracked.reader.ask(path)
    assert (told.status, told.location) == (404, "")
    good = (await tracked.link(URL)).split("/")[1]
    other = (await tracked.link("https://evil.example/")).split("/")[1]
    mixed = await tracked.reader.ask(f"/{other[: len(other) // 2]}{good[len(good) // 2 :]}")
    assert (mixed.status, mixed.location) == (404, "")


async def test_a40_a_tracked_image_has_the_bytes_and_type_of_the_original(
    tracked: Tracked,
) -> None:
    reply = WebReply(body=JPEG, fields={"content-type": "image/jpeg"})
    async with WebServer(lambda request: reply) as server:
        url = server.url("/photo.jpg", host="127.0.0.1")
        told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, url)}/photo.jpg")
    assert (told.status, told.fields["content-type"], told.body) == (200, "image/jpeg", JPEG)


async def test_a41_an_open_is_recorded_with_message_recipient_address_and_program(
    tracked: Tracked,
) -> None:
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.PIXEL, position=0)}/.gif")
    assert told.status == 200
    visit = await told_of(tracked)
    assert visit["kind"] == "message.opened"
    facts = visit["facts"]
    assert (facts["address"], facts["agent"], facts["verdict"]) == ("127.0.0.1", FIREFOX, "person")
