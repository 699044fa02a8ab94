"""the tracking host over real sockets: what leads where, what does not, and what is written down"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.picture import PIXEL
from pillarbox.message.tokens import Token, TokenKind, mint
from pillarbox.net.certificates import TlsConfig
from pillarbox.policy.tracking import CLICKED, Rule, Verdict, Visit
from pillarbox.services.tracking.book import MOST_OF_SPOT, Book
from pillarbox.services.tracking.preference import Preferences
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.images import StoredImage
from pillarbox.storage.interface.visits import Reached
from pillarbox.terms.ids import DeliveryId
from tests.doubles.certificates import issue_certificate
from tests.doubles.reader import FIREFOX, Reader, Told
from tests.doubles.web_server import WebReply, WebRequest, WebServer
from tests.fix_house import Houses
from tests.fix_tracking import LOOPBACK, Tracked, begin_tracking

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
TARGETS = [
    "https://example.com",
    "https://example.com/",
    "http://example.com/a/b?c=d&e=f#g",
    "https://example.com/?q=a+b%20c%2Bd&empty=&flag",
    "https://example.com/%7Euser/%c3%a9?x=%26amp;",
    "https://example.com/?a=1&amp;b=2&copy=3",
    "https://example.com/p;v=1,2/(x)'*!$/[1]{2}|^`\\",
    "https://user:pass@example.com:8443/deep/../path/./here?#",
    "https://xn--bcher-kva.example/%E2%9C%93?%u2713#!/route?x=1",
    "HTTPS://EXAMPLE.COM/Case?Stays=AS#IT",
    "https://example.com/?next=https%3A%2F%2Fevil.example%2F%3Fa%3Db&u=https://evil.example/",
    "https://[2001:db8::1]:8080/x",
    "https://example.com//double//slash?//#//",
    "https://example.com/?" + "k=v&" * 1500,
]


class Web:
    """Where images lie."""

    def __init__(self) -> None:
        self.reply = WebReply(body=PNG, fields={"content-type": "image/png"})
        self.more: dict[str, WebReply] = {}

    def __call__(self, request: WebRequest) -> WebReply:
        return self.more.get(request.target, self.reply)


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
async def there(web: Web) -> AsyncIterator[WebServer]:
    async with WebServer(web) as server:
        yield server


def url_of(server: WebServer, path: str) -> str:
    return server.url(path, host="127.0.0.1")


# --- links ------------------------------------------------------------------------------------


async def test_a_link_leads_to_the_exact_address_in_one_step(tracked: Tracked) -> None:
    for target in TARGETS:
        path = await tracked.link(target)
        token = path.split("/")[1]
        for asked in (
            path,
            f"{path}?utm_source=news&fbclid=abc",
            f"/{token}",
            f"/{token}?x=/a/b",
            f"/{token}/",
            f"/{token}/something/else%20again",
            f"/{token}/../..//",
            f"/{token}.gif",
            f"/{token}.",
        ):
            told = await tracked.reader.ask(asked)
            assert (told.status, told.location) == (302, target)
            assert told.body == b""
            assert told.fields["referrer-policy"] == "no-referrer"
            assert told.fields["cache-control"] == "no-store"


async def test_ten_thousand_forged_or_altered_tokens_lead_nowhere(tracked: Tracked) -> None:
    chance = random.Random(20261126)
    good = await tracked.token(TokenKind.CLICK, "https://example.com/there?a=b")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def altered() -> str:
        way = chance.randrange(6)
        at = chance.randrange(len(good))
        if way == 0:
            return good[:at] + chance.choice(letters.replace(good[at], "")) + good[at + 1 :]
        if way == 1:
            return good[:at]
        if way == 2:
            return good[:at] + chance.choice(letters) + good[at:]
        if way == 3:
            return good[:at] + good[at + 1 :]
        if way == 4:
            raw = bytearray(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        other = Token(TokenKind.CLICK, tracked.delivery, 1, "https://evil.example/", 1)
        return mint(other, chance.randbytes(32))

    statuses: dict[int, int] = {}
    host = tracked.running.house.tracking.host
    for number in range(10_000):
        text = altered()
        if text == good:
            continue
        status = (
            await asked_in_memory(host, f"/{text}")
            if number % 100
            else (await tracked.reader.ask(f"/{text}")).status
        )
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.keys() == {404} and statuses[404] > 9900
    assert await tracked.running.house.storage.visits.of_delivery(tracked.delivery, 10) == []


async def asked_in_memory(host, path: str) -> int:
    """The same application without a socket, for so many requests."""
    said: list[int] = []

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            said.append(message["status"])
            assert not any(name == b"location" for name, _ in message["headers"])

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
             "headers": [], "client": ("192.0.2.1", 1)}  # fmt: skip
    await host(scope, lambda: asyncio.sleep(0, {"type": "http.request"}), send)
    return said[0]


NO_ADDRESSES = [
    "javascript:alert(1)", "data:text/html,x", "//evil.example/", "https:evil.example", "\\\\evil",
    "https://", "", "ftp://example.com/", "https://example.com/\r\nSet-Cookie: a=b",
    "https://example.com/ b",
]  # fmt: skip


async def test_what_is_no_web_address_is_followed_by_nobody_whoever_signed_it(
    tracked: Tracked,
) -> None:
    for target in NO_ADDRESSES:
        for kind in (TokenKind.CLICK, TokenKind.IMAGE):
            told = await tracked.reader.ask(f"/{await tracked.token(kind, target)}")
            assert (told.status, told.location) == (404, "")
            assert "set-cookie" not in told.fields


PATHS = [
    "/", "//", "/favicon.ico", "/pillarbox/v1/apps", "/healthz", "/metrics", "/api/v2/send",
    "/.well-known/x", "/%2e%2e/etc/passwd", "/" + "A" * 20_000, "/%00", "/?x", "/%ff%fe",
]  # fmt: skip


async def test_there_is_nothing_but_tokens(tracked: Tracked) -> None:
    for path in PATHS:
        told = await tracked.reader.ask(path)
        assert (told.status, told.body) == (404, b"There is nothing here.\n")
        assert told.fields["content-type"] == "text/plain; charset=utf-8"
        assert "set-cookie" not in told.fields


async def test_robots_are_asked_to_stay_away(tracked: Tracked) -> None:
    told = await tracked.reader.ask("/robots.txt")
    assert told.status == 200
    assert told.body == b"User-agent: *\nDisallow: /\n"


async def test_a_link_can_only_be_looked_at(tracked: Tracked) -> None:
    path = await tracked.link("https://example.com/")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        told = await tracked.reader.ask(path, method=method)
        assert (told.status, told.location, told.fields["allow"]) == (405, "", "GET, HEAD")


async def test_the_tracking_host_is_not_on_the_port_of_the_api(tracked: Tracked) -> None:
    api = Reader(tracked.running.http_port)
    assert (await api.ask(await tracked.link("https://example.com/"))).status == 404


async def test_a_link_leads_on_when_its_message_is_long_gone(tracked: Tracked) -> None:
    token = await tracked.token(TokenKind.CLICK, "https://example.com/", delivery=12345 << 10 | 1)
    told = await tracked.reader.ask(f"/{token}")
    assert told.location == "https://example.com/"
    await tracked.running.house.tracking.book.write(everything=True)
    assert tracked.running.house.metrics.tracking_visits["clicked", "person"] == 1


async def test_the_house_knows_which_host_links_name_and_where_it_answers(tracked: Tracked) -> None:
    house = tracked.running.house
    facts = house.tracking.facts()
    assert facts.host == house.settings.tracking.host
    assert [(each.port, each.security) for each in facts.listeners] == [
        (port, "plain") for port in house.tracking.ports
    ]
    assert facts.listeners and facts.listeners[0].host == "127.0.0.1"


async def test_old_keys_lead_on_and_a_revoked_one_shows_a_page(tracked: Tracked) -> None:
    keys, now = tracked.running.house.storage.keys, tracked.running.house.clock.now_ms()
    target = "https://example.com/?a=1&b=<script>alert(1)</script>".replace(" ", "%20")
    old = await tracked.link(target)
    pixel = f"/{await tracked.token(TokenKind.PIXEL)}"
    shown = f"/{await tracked.token(TokenKind.IMAGE, target)}"
    await keys.rotate_token_key(now)
    assert (await tracked.reader.ask(old)).location == target
    await tracked.visits(1)
    await keys.revoke_token_key(1, now)
    told = await tracked.reader.ask(old)
    assert (told.status, told.location) == (200, "")
    assert b"https://example.com/?a=1&amp;b=&lt;script&gt;" in told.body
    assert b"<script" not in told.body and b"<a " not in told.body and b"href" not in told.body
    assert told.fields["content-security-policy"].startswith("default-src 'none'")
    assert (await tracked.reader.ask(pixel)).status == 404
    assert (await tracked.reader.ask(shown)).status == 404
    assert len(await tracked.visits(1)) == 1
    assert (await tracked.reader.ask(await tracked.link(target))).location == target


# --- what is written down ---------------------------------------------------------------------


async def test_who_came_is_kept_apart_by_what_it_was(tracked: Tracked) -> None:
    path = await tracked.link("https://example.com/", 7)
    await tracked.reader.ask(path)
    await tracked.reader.ask(path, method="HEAD")
    await tracked.reader.ask(path, fields={"Sec-Purpose": "prefetch"})
    await tracked.reader.ask(path, agent="Googlebot/2.1")
    await tracked.reader.ask(path, agent=None)
    found = await tracked.visits(5)
    assert [(each.verdict, each.rule) for each in found] == [
        ("person", "none"), ("scanner", "head"), ("prefetch", "purpose"),
        ("scanner", "scanner_agent"), ("scanner", "no_agent"),
    ]  # fmt: skip
    person = found[0]
    assert (person.url, person.position) == ("https://example.com/", 7)
    assert (person.address, person.agent) == ("127.0.0.1", FIREFOX)
    metrics = tracked.running.house.metrics
    assert metrics.tracking_visits["clicked", "person"] == 1
    assert metrics.tracking_visits["clicked", "scanner"] == 3


async def test_links_followed_all_at_once_were_followed_by_a_scanner(tracked: Tracked) -> None:
    links = [await tracked.link(f"https://example.com/{n}", n) for n in range(1, 6)]
    await asyncio.gather(*map(tracked.reader.ask, links))
    assert {(each.verdict, each.rule) for each in await tracked.visits(5)} == {("scanner", "burst")}


async def test_who_comes_within_two_seconds_of_the_delivery_is_a_scanner(
    tracked: Tracked,
) -> None:
    receipt = await tracked.running.submit("carol@example.org")
    (row,) = await tracked.running.until(receipt.message)
    token = await tracked.token(TokenKind.PIXEL, position=0, delivery=row.delivery)
    await tracked.reader.ask(f"/{token}")
    (found,) = await tracked.visits(1, row.delivery)
    assert (found.verdict, found.rule) == ("scanner", "soon")


async def test_without_personal_data_visits_are_told_apart_and_nobody_is_named(
    houses: Houses,
) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, personal_data=False))
    await tracked.reader.ask(await tracked.link("https://example.com/"), agent="Googlebot/2.1")
    (found,) = await tracked.visits(1)
    assert (found.address, found.agent, found.verdict) == ("", "", "scanner")


async def test_the_address_is_the_readers_behind_a_proxy_that_is_ours(houses: Houses) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, proxies=("127.0.0.0/8", "10.0.0.0/8")))
    path = await tracked.link("https://example.com/")
    chains = ["203.0.113.9", "198.51.100.1, 203.0.113.9, 10.1.1.1", "garbage, 203.0.113.9"]
    for chain in chains:
        await tracked.reader.ask(path, fields={"X-Forwarded-For": chain})
    await tracked.reader.ask(path, fields={"X-Forwarded-For": "198.51.100.1, garbage"})
    found = await tracked.visits(4)
    assert [each.address for each in found] == ["203.0.113.9"] * 3 + ["127.0.0.1"]


async def test_nobody_else_can_claim_an_address(tracked: Tracked) -> None:
    path = await tracked.link("https://example.com/")
    await tracked.reader.ask(path, fields={"X-Forwarded-For": "203.0.113.9"})
    (found,) = await tracked.visits(1)
    assert found.address == "127.0.0.1"


async def test_a_flood_is_answered_and_not_written_down(tracked: Tracked) -> None:
    token = await tracked.token(TokenKind.PIXEL, position=0)
    told = await asyncio.gather(*(tracked.reader.ask(f"/{token}") for _ in range(60)))
    assert {each.status for each in told} == {200}
    house = tracked.running.house
    await house.tracking.book.write(everything=True)
    written = len(await house.storage.visits.of_delivery(tracked.delivery, 1000))
    assert MOST_OF_SPOT <= written <= 2 * MOST_OF_SPOT  # two, where a minute ended meanwhile
    assert house.metrics.tracking_visits["opened", "not_written"] == 60 - written


async def test_nothing_is_lost_by_an_orderly_end(houses: Houses, tracked: Tracked) -> None:
    path = await tracked.link("https://example.com/")
    for _ in range(3):
        await tracked.reader.ask(path)
    running = await houses.start(tracking_host=LOOPBACK)
    found = await running.house.storage.visits.of_delivery(tracked.delivery, 10)
    assert [event.kind for event in found] == ["message.clicked"] * 3


async def test_what_cannot_be_written_now_is_written_later(tracked: Tracked) -> None:
    book, store = tracked.running.house.tracking.book, tracked.running.house.storage.visits
    real = store.add

    async def away(visits) -> None:
        raise StorageTrouble("The store does not answer.")

    store.add = away  # type: ignore[method-assign]
    await tracked.reader.ask(await tracked.link("https://example.com/"))
    await book.write(everything=True)
    store.add = real  # type: ignore[method-assign]
    assert len(await tracked.visits(1)) == 1


async def test_who_came_while_others_were_written_down_at_the_end_is_written_too(
    tracked: Tracked,
) -> None:
    house = tracked.running.house
    store, clock = house.storage.visits, house.clock
    real, writing, go_on = store.reached, asyncio.Event(), asyncio.Event()

    async def slow(delivery: DeliveryId) -> Reached | None:
        writing.set()
        await go_on.wait()
        return await real(delivery)

    def visit(at: int, position: int) -> Visit:
        return Visit(
            CLICKED, tracked.delivery, position, "https://example.com/", at, "192.0.2.1",
            FIREFOX, Verdict.PERSON, Rule.NONE,
        )  # fmt: skip

    preferences = Preferences(
        house.storage.directory, store, personal_data=True, serves_images=True
    )
    book = Book(store, clock, house.metrics, preferences)
    store.reached = slow  # type: ignore[method-assign]
    book.note(visit(clock.now_ms() - 60_000, 1))
    running = asyncio.create_task(book.run())
    async with asyncio.timeout(10):
        await writing.wait()
        book.note(visit(clock.now_ms(), 2))
        book.stop()
        go_on.set()
        await running
    found = await store.of_delivery(tracked.delivery, 10)
    assert [event.data.position for event in found] == [1, 2]  # type: ignore[union-attr]


# --- images -----------------------------------------------------------------------------------


async def test_the_pixel_is_an_image_that_nobody_keeps(tracked: Tracked) -> None:
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.PIXEL, position=0)}/.gif")
    assert (told.status, told.body) == (200, PIXEL)
    assert told.fields["content-type"] == "image/gif"
    assert told.fields["cache-control"] == "no-store"
    (found,) = await tracked.visits(1)
    assert (found.url, found.position, found.verdict) == ("", 0, "person")


async def test_an_image_is_fetched_once_for_all_its_readers(
    tracked: Tracked, web: Web, there: WebServer
) -> None:
    path = f"/{await tracked.token(TokenKind.IMAGE, url_of(there, '/logo.png?v=1'), 2)}/logo.png"
    told = await asyncio.gather(*(tracked.reader.ask(path) for _ in range(5)))
    told.append(await tracked.reader.ask(path))
    assert {(each.status, each.fields["content-type"]) for each in told} == {(200, "image/png")}
    assert all(each.body == PNG for each in told)
    assert [request.target for request in there.requests] == ["/logo.png?v=1"]
    asked = there.requests[0].fields
    assert "cookie" not in asked and "referer" not in asked and FIREFOX not in asked.values()
    found = await tracked.visits(6)
    assert {(each.url, each.position) for each in found} == {(url_of(there, "/logo.png?v=1"), 2)}


async def test_the_head_of_an_image_has_no_body(
    tracked: Tracked, web: Web, there: WebServer
) -> None:
    path = f"/{await tracked.token(TokenKind.IMAGE, url_of(there, '/logo.png'))}"
    told = await tracked.reader.ask(path, method="HEAD")
    assert (told.status, told.body) == (200, b"")
    assert told.fields["content-length"] == str(len(PNG))


NOT_SHOWN = {
    "svg": WebReply(body=b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>",
                    fields={"content-type": "image/svg+xml"}),
    "a page that says it is an image": WebReply(body=b"<html><script>x()</script>",
                                                fields={"content-type": "image/png"}),
    "an error": WebReply(500, PNG, {"content-type": "image/png"}),
    "nothing": WebReply(204),
    "too large": WebReply(body=PNG[:8] + bytes(5 * 1024 * 1024)),
    "endless": WebReply(endless=True),
    "garbage": WebReply(raw=b"SSH-2.0-OpenSSH\r\n"),
    "packed": WebReply(body=b"\x1f\x8b" + bytes(100), fields={"content-encoding": "gzip"}),
}  # fmt: skip


@pytest.mark.parametrize("reply", NOT_SHOWN.values(), ids=NOT_SHOWN)
async def test_what_cannot_be_shown_is_left_to_where_it_lies(
    tracked: Tracked, web: Web, there: WebServer, reply: WebReply
) -> None:
    web.reply = reply
    target = url_of(there, "/x.png")
    path = f"/{await tracked.token(TokenKind.IMAGE, target)}"
    for _ in range(2):
        told = await tracked.reader.ask(path)
        assert (told.status, told.location) == (302, target)
    assert len(there.requests) == 1  # and that is remembered for a while
    assert len(await tracked.visits(2)) == 2


async def test_a_slow_server_keeps_a_reader_no_longer_than_set(
    houses: Houses, web: Web, there: WebServer
) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, fetch_seconds=0.2))
    web.reply = WebReply(waits=asyncio.Event())
    target = url_of(there, "/slow.png")
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, target)}")
    assert (told.status, told.location) == (302, target)


async def test_a_few_redirects_are_followed_and_many_are_not(
    tracked: Tracked, web: Web, there: WebServer
) -> None:
    for number in range(6):
        web.more[f"/{number}"] = WebReply(302, fields={"location": f"/{number - 1}"})
    web.more["/0"] = WebReply(body=PNG)
    near, far = url_of(there, "/3"), url_of(there, "/5")
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, near)}")
    assert (told.status, told.body) == (200, PNG)
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, far)}")
    assert (told.status, told.location) == (302, far)


async def test_images_are_left_where_they_lie_where_that_is_wished(
    houses: Houses, there: WebServer
) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, images="redirect"))
    target = url_of(there, "/logo.png")
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, target)}")
    assert (told.status, told.location, there.requests) == (302, target, [])
    assert len(await tracked.visits(1)) == 1


async def test_a_hosted_image_is_shown_for_good_and_counts_nobody(tracked: Tracked) -> None:
    digest = hashlib.sha256(PNG).hexdigest()
    house = tracked.running.house
    image = StoredImage(digest, "image/png", PNG)
    await house.storage.images.keep(image, house.clock.now_ms(), hosted=True)
    token = await tracked.token(TokenKind.HOSTED, digest)
    told = await tracked.reader.ask(f"/{token}/.png")
    assert (told.status, told.body, told.fields["content-type"]) == (200, PNG, "image/png")
    assert told.fields["cache-control"] == "public, max-age=31536000, immutable"
    assert told.fields["x-content-type-options"] == "nosniff"
    assert told.fields["content-security-policy"] == "default-src 'none'; sandbox"
    await house.tracking.book.write(everything=True)
    assert await house.storage.visits.of_delivery(tracked.delivery, 10) == []
    for wrong in ("0" * 64, digest[:-1], "../" + digest, ""):
        missing = await tracked.reader.ask(f"/{await tracked.token(TokenKind.HOSTED, wrong)}")
        assert missing.status == 404


async def test_images_nobody_looks_at_any_more_go(tracked: Tracked) -> None:
    house = tracked.running.house
    long_ago = house.clock.now_ms() - 400 * 86_400_000
    digest = hashlib.sha256(PNG).hexdigest()
    await house.storage.images.keep(StoredImage(digest, "image/png", PNG), long_ago, hosted=True)
    assert await house.tracking.tidying.go_round() == 1
    told = await tracked.reader.ask(f"/{await tracked.token(TokenKind.HOSTED, digest)}")
    assert told.status == 404


# --- who means harm ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets, statuses",
    [
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 414, 431}),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n", {400, 431}),
        (b"GET / HTTP/1.1\r\nConnection: close\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", {400, 404, 431}),
        (b"GET / HTTP/1.1\r\nX\x00: y\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {400}),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 404}),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9000\r\n\r\n"
         + b"z" * 9000, {413}),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"0\r\n\r\n", {400, 404}),
    ],
    ids=["long path", "many fields", "long field", "nul", "tls to clear", "no address", "long body",
         "two lengths"],
)  # fmt: skip
async def test_hostile_requests_are_refused_and_the_next_is_answered(
    tracked: Tracked, octets: bytes, statuses: set[int]
) -> None:
    told: Told | None = None
    try:
        told = await tracked.reader.say(octets)
    except (ConnectionError, ValueError):
        pass  # closed over it without a word
    assert told is None or told.status in statuses
    path = await tracked.link("https://example.com/")
    assert (await tracked.reader.ask(path)).location == "https://example.com/"


# --- under TLS --------------------------------------------------------------------------------


async def test_each_name_is_shown_its_certificate(houses: Houses) -> None:
    folder = houses.data_dir.parent
    one = issue_certificate(folder / "one", "clicks.example")
    two = issue_certificate(folder / "two", "links.example")
    config = replace(LOOPBACK, listen=(), listen_tls=("127.0.0.1:0",))
    tls = TlsConfig(str(one.certificate), str(one.key), (str(two.certificate),), (str(two.key),))
    tracked = await begin_tracking(houses, config, tracking_tls=tls)
    (port,) = tracked.running.house.tracking.ports
    path = await tracked.link("https://example.com/")
    for files, name in ((one, "clicks.example"), (two, "links.example")):
        told = await Reader(port, context=files.client_context(), name=name).ask(path)
        assert told.location == "https://example.com/"
    with pytest.raises(ssl.SSLCertVerificationError):
        await Reader(port, context=one.client_context(), name="links.example").ask(path)


async def test_a_certificate_that_cannot_be_used_is_told_of_though_nothing_would_show_it(
    houses: Houses, capsys: pytest.CaptureFixture[str]
) -> None:
    usable = issue_certificate(houses.data_dir.parent / "one", "clicks.example")
    right = TlsConfig(str(usable.certificate), str(usable.key))
    await begin_tracking(houses, LOOPBACK, tracking_tls=right)
    assert "tracking.certificate_unusable" not in "".join(capsys.readouterr())
    wrong = TlsConfig(str(houses.data_dir / "nowhere.pem"))
    await begin_tracking(houses, LOOPBACK, tracking_tls=wrong)
    said = "".join(capsys.readouterr())
    assert "tracking.certificate_unusable" in said and "nowhere.pem" in said


async def test_a_renewed_certificate_is_shown_without_a_restart(houses: Houses) -> None:
    folder = houses.data_dir.parent
    files = issue_certificate(folder / "tls", "clicks.example")
    config = replace(LOOPBACK, listen=(), listen_tls=("127.0.0.1:0",))
    tls = TlsConfig(str(files.certificate), str(files.key))
    tracked = await begin_tracking(houses, config, tracking_tls=tls)
    (port,) = tracked.running.house.tracking.ports
    path = await tracked.link("https://example.com/")
    before = files.client_context()
    assert (await Reader(port, context=before, name="clicks.example").ask(path)).status == 302
    renewed = issue_certificate(folder / "tls", "clicks.example")
    assert tracked.running.house.tracking.shown.reload()
    after = renewed.client_context()
    assert (await Reader(port, context=after, name="clicks.example").ask(path)).status == 302


async def test_without_files_our_own_authority_vouches_for_the_host(houses: Houses) -> None:
    config = replace(LOOPBACK, listen=(), listen_tls=("127.0.0.1:0",))
    named = TrackingConfig(host="clicks.example:8443")
    tracked = await begin_tracking(houses, config, tracking=named)
    (port,) = tracked.running.house.tracking.ports
    context = ssl.create_default_context(cafile=str(houses.data_dir / "ca.pem"))
    path = await tracked.link("https://example.com/")
    told = await Reader(port, context=context, name="clicks.example").ask(path)
    assert told.location == "https://example.com/"
