"""the contract about tracked links and images: where they lead, and what is recorded of it

Mail is handed in over SMTP, and what its recipient got is followed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.terms.ids import format_delivery_id, parse_message_id
from tests.doubles.bad_server import BadServer
from tests.doubles.reader import FIREFOX, Reader, Told
from tests.doubles.web_server import WebReply, WebServer
from tests.e2e.clerk import add_login, arrived, queued_as, show
from tests.e2e.porch import BOTH, hand_in, plain_login, protected
from tests.fix_house import Houses, Running
from tests.fix_tracking import LOOPBACK

HOST = "clicks.test"
URL = "https://www.example.com/shop/item%20one?id=7&ref=a%26b#reviews"
ODD = [
    URL,
    "http://example.com",
    "https://example.com/?q=a+b&empty=&flag#",
    "https://user:pass@example.com:8443/a/../b?x=%u2713",
    "https://xn--bcher-kva.example/%C3%BC",
]
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256))


@dataclass
class Post:
    """Sends, and reads what came."""

    house: Running
    sink: BadServer
    reader: Reader

    async def read(self, html: str, **features: str) -> tuple[str, list[str], list[str]]:
        """The id of a message, and the links and images in what its recipient got."""
        content = (
            "From: ann@example.com\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>{html}</body></html>\r\n"
        )
        login = await add_login(self.house, "shop", options=features)
        async with protected(self.house, PortKind.TLS) as client:
            said = await client.say(plain_login(login.username, login.password))
            assert said.startswith(b"235 ")
            message = queued_as(await hand_in(client, content.encode()))
        record = await arrived(self.house, self.sink, message)
        body = record.content.partition(b"\r\n\r\n")[2].decode()
        links = [unescape(each) for each in re.findall(r'href="([^"]*)"', body)]
        images = [unescape(each) for each in re.findall(r'src="([^"]*)"', body)]
        return message, links, images

    async def follow(self, address: str) -> Told:
        """Ask the tracking host for an address of its."""
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("https", HOST)
        return await self.reader.ask(parts.path + (f"?{parts.query}" if parts.query else ""))

    async def visit(self, message: str) -> dict[str, Any]:
        """The one visit, as the API has it with the message and among the events: the same."""
        await self.house.house.tracking.book.write(everything=True)
        (delivery,) = (await show(self.house, f"/messages/{message}"))["deliveries"]
        (visit,) = delivery["visits"]
        (row,) = await self.house.deliveries(parse_message_id(message))
        assert (visit["message"], visit["delivery"]) == (message, format_delivery_id(row.delivery))
        assert delivery["recipient"] == row.recipient
        events = (await show(self.house, "/events?limit=5"))["items"]
        assert visit in events
        return visit


@pytest.fixture
async def post(houses: Houses) -> AsyncIterator[Post]:
    async with BadServer() as sink:
        house = await houses.start(
            Mode.LIVE, smtp=BOTH, tracking=TrackingConfig(host=HOST), tracking_host=LOOPBACK
        )
        await house.add_server("sink", sink.port)
        yield Post(house, sink, Reader(house.house.tracking.ports[0]))
        await houses.stop()


async def test_a31_a_rewritten_link_redirects_to_the_exact_original(post: Post) -> None:
    html = "".join(f'<a href="{url.replace("&", "&amp;")}">look</a>' for url in ODD)
    _, links, _ = await post.read(html, trackclicks="true")
    assert len(links) == len(set(links)) == len(ODD)
    for url, link in zip(ODD, links, strict=True):
        token = link.split("/")[3]
        for address in (
            link, f"{link}?utm_source=x&fbclid=y", f"https://{HOST}/{token}/other?tail#x",
        ):  # fmt: skip
            told = await post.follow(address)
            assert (told.status, told.location) == (302, url)


async def test_a32_a_click_is_recorded_with_message_recipient_address_and_link(
    post: Post,
) -> None:
    html = f'<a href="https://example.com/">one</a><a href="{URL.replace("&", "&amp;")}">two</a>'
    message, links, _ = await post.read(html, trackclicks="true")
    await post.follow(links[1])
    visit = await post.visit(message)
    assert visit["kind"] == "message.clicked"
    facts = visit["facts"]
    assert (facts["url"], facts["position"]) == (URL, 2)
    assert (facts["address"], facts["agent"]) == ("127.0.0.1", FIREFOX)


async def test_a38_an_unknown_or_forged_link_leads_nowhere(post: Post) -> None:
    html = f'<a href="{URL.replace("&", "&amp;")}">a</a><a href="https://evil.example/">b</a>'
    _, (good, other), _ = await post.read(html, trackclicks="true")
    one, two = good.split("/")[3], other.split("/")[3]
    mixed = f"/{two[: len(two) // 2]}{one[len(one) // 2 :]}"
    for path in (mixed, "/unknown", "/AQAB" + "A" * 60, "/unknown?u=https://evil.example/"):
        told = await post.reader.ask(path)
        assert (told.status, told.location) == (404, "")


async def test_a40_a_tracked_image_has_the_bytes_and_type_of_the_original(post: Post) -> None:
    reply = WebReply(body=JPEG, fields={"content-type": "image/jpeg"})
    async with WebServer(lambda request: reply) as server:
        url = server.url("/photo.jpg?w=9", host="127.0.0.1")
        _, _, (image,) = await post.read(f'<img src="{url}">', trackopens="true")
        told = await post.follow(image)
    assert (told.status, told.fields["content-type"], told.body) == (200, "image/jpeg", JPEG)
    assert [request.target for request in server.requests] == ["/photo.jpg?w=9"]


async def test_a41_an_open_is_recorded_with_message_recipient_address_and_program(
    post: Post,
) -> None:
    message, _, (pixel,) = await post.read("<p>hello</p>", trackopens="true")
    told = await post.follow(pixel)
    assert (told.status, told.fields["content-type"]) == (200, "image/gif")
    visit = await post.visit(message)
    assert visit["kind"] == "message.opened"
    facts = visit["facts"]
    assert (facts["address"], facts["agent"]) == ("127.0.0.1", FIREFOX)


async def test_hosted_images_show_the_bytes_that_were_in_the_mail_and_leave_the_pixel(
    post: Post,
) -> None:
    packed = base64.encodebytes(JPEG).decode().replace("\n", "\r\n")
    content = (
        "From: ann@example.com\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
        'Content-Type: text/html; charset=utf-8\r\n\r\n<body><img src="cid:logo"></body>\r\n--b\r\n'
        "Content-Type: image/jpeg\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{packed}\r\n--b--\r\n"
    )
    login = await add_login(post.house, "web", options={"images": "hosted", "trackopens": "true"})
    async with protected(post.house, PortKind.TLS) as client:
        assert (await client.say(plain_login(login.username, login.password))).startswith(b"235 ")
        message = queued_as(await hand_in(client, content.encode()))
    record = await arrived(post.house, post.sink, message)
    logo, pixel = re.findall(r'src="([^"]*)"', record.content.decode())
    told = await post.follow(logo)
    assert (told.status, told.fields["content-type"]) == (200, "image/jpeg")
    assert told.body == JPEG
    assert (await post.follow(pixel)).fields["content-type"] == "image/gif"
    assert (await post.visit(message))["facts"]["url"] == ""
