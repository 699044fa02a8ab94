"""images are fetched from public addresses only, whatever their addresses say and become meanwhile"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from pillarbox.net.errors import Broken
from pillarbox.net.web_client import WebClient
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed, WebFault
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.networks import is_address, is_public
from pillarbox.services.tracking.image import Images, kept_for
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import SystemClock
from tests.doubles.web_server import WebReply, WebRequest, WebServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
CLOCK = SystemClock()
INSIDE = {
    "loopback": "127.0.0.1",
    "loopback elsewhere": "127.8.9.10",
    "this host": "0.0.0.0",
    "private 10": "10.1.2.3",
    "private 172": "172.31.255.255",
    "private 192": "192.168.0.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "carrier": "100.100.100.200",
    "benchmark": "198.18.0.1",
    "documentation": "192.0.2.1",
    "multicast": "224.0.0.251",
    "broadcast": "255.255.255.255",
    "loopback 6": "::1",
    "this host 6": "::",
    "link-local 6": "fe80::1",
    "private 6": "fd00::1",
    "metadata 6": "fd00:ec2::254",
    "multicast 6": "ff02::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:10.0.0.1",
    "mapped metadata": "::ffff:a9fe:a9fe",
    "compatible": "::127.0.0.1",
    "NAT64 loopback": "64:ff9b::7f00:1",
    "NAT64 metadata": "64:ff9b::a9fe:a9fe",
    "NAT64 of a network": "64:ff9b:1::a00:1",
    "6to4 loopback": "2002:7f00:1::",
    "Teredo": "2001:0:7f00:1::",
}
ODD = [
    "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
    "http://localhost/", "http://LOCALHOST./", "http://127.0.0.1.nip.example/",
    "http://[::1%25lo]/", "http://[::ffff:7f00:1]/", "http://user@127.0.0.1/",
    "http://public.example@127.0.0.1/", "http://127.0.0.1\\@public.example/",
    "http://\u2488\u2489/", "http:///etc/passwd", "file:///etc/passwd", "gopher://127.0.0.1/",
    "ftp://127.0.0.1/x.png", "http://127.0.0.1:99999/", "//127.0.0.1/", "",
]  # fmt: skip


class Names:
    """A resolver that says what it is told to, another thing every time if need be."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    async def look_up(self, host: str, port: int, seconds: float) -> Sequence[tuple[str, int]]:
        self.asked.append(host)
        if is_address(host):
            return [(host, port)]
        left = self.answers.get(host, [])
        if not left:
            raise Broken("connect", f"there is no host of the name {host}")
        return [(address, port) for address in (left.pop(0) if len(left) > 1 else left[0])]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def there() -> AsyncIterator[WebServer]:
    """What must not be reached."""
    async with WebServer(lambda request: WebReply(body=PNG)) as server:
        yield server


@pytest.fixture
async def storage(tmp_path) -> AsyncIterator[Storage]:
    storage = await open_storage(tmp_path, now_ms=CLOCK.now_ms(), on_broken=lambda _: None)
    yield storage
    await storage.close()


def images_of(storage: Storage, client: WebClient) -> Images:
    return Images(storage.images, client, CLOCK, Metrics(process=False), 5.0)


async def refusal(names: Names, url: str) -> str:
    """Why nothing was connected to."""
    client = WebClient(clear=True, permits=is_public, look_up=names.look_up)
    try:
        await client.get(url)
    except WebFailed as failed:
        return failed.fault.value
    except WebAddressInvalid:
        return "address"
    finally:
        await client.close()
    return "fetched"


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
async def test_no_address_inside_is_connected_to(
    names: Names, there: WebServer, address: str
) -> None:
    literal = f"[{address}]" if ":" in address else address
    for scheme in ("http", "https"):
        for port in (there.port, 80):
            found = await refusal(names, f"{scheme}://{literal}:{port}/x.png")
            assert found == WebFault.FORBIDDEN
    names.answers["inside.example"] = [[address]]
    found = await refusal(names, f"http://inside.example:{there.port}/x.png")
    assert found == WebFault.FORBIDDEN
    assert there.connections == 0


async def test_no_odd_spelling_leads_inside(names: Names, there: WebServer) -> None:
    names.answers["127.0.0.1.nip.example"] = [["127.0.0.1"]]
    names.answers["localhost"] = [["127.0.0.1", "::1"]]
    for url in ODD:
        found = await refusal(names, url.replace("127.0.0.1/", f"127.0.0.1:{there.port}/"))
        assert found in ("address", WebFault.FORBIDDEN, WebFault.NAME), url
    assert there.connections == 0


async def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere_inside(
    names: Names, there: WebServer
) -> None:
    """Rebinding: what was looked up and judged is what is connected to; it is not asked again."""
    permitted: list[str] = []

    def permits(address: str) -> bool:
        permitted.append(address)
        return is_public(address) or address == "127.0.0.99"

    # 127.0.0.99 stands for an address outside; nobody listens there. A second look would lead to
    # the server, which must not hear of it.
    names.answers["rebinding.example"] = [["127.0.0.99"], ["127.0.0.1"], ["127.0.0.1"]]
    client = WebClient(clear=True, permits=permits, look_up=names.look_up)
    with pytest.raises(WebFailed) as caught:
        await client.get(f"http://rebinding.example:{there.port}/")
    assert caught.value.fault is WebFault.CONNECT
    assert (names.asked, permitted) == (["rebinding.example"], ["127.0.0.99"])
    with pytest.raises(WebFailed) as caught:  # the next request looks again, and judges again
        await client.get(f"http://rebinding.example:{there.port}/")
    assert caught.value.fault is WebFault.FORBIDDEN
    await client.close()
    assert there.connections == 0


async def test_of_several_addresses_only_those_outside_are_tried(
    names: Names, there: WebServer
) -> None:
    names.answers["mixed.example"] = [["127.0.0.1", "10.0.0.1", "::1"]]
    assert await refusal(names, f"http://mixed.example:{there.port}/") == WebFault.FORBIDDEN
    assert there.connections == 0


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
async def test_a_redirect_leads_nobody_inside(
    names: Names, there: WebServer, storage: Storage, address: str
) -> None:
    literal = f"[{address}]" if ":" in address else address

    def answer(request: WebRequest) -> WebReply:
        target = f"http://{literal}:{there.port}/x.png"
        return WebReply(301, fields={"location": target})

    # The first server is permitted by its name alone: it stands for one outside.
    async with WebServer(answer) as outside:
        names.answers["outside.example"] = [["127.0.0.77"]]
        asked: list[str] = []

        async def look_up(host: str, port: int, seconds: float) -> Sequence[tuple[str, int]]:
            asked.append(host)
            if host == "outside.example":
                return [("127.0.0.1", outside.port)]
            return await names.look_up(host, port, seconds)

        def permits(found: str) -> bool:
            return is_public(found) or asked[-1] == "outside.example"

        client = WebClient(clear=True, permits=permits, look_up=look_up)
        images = images_of(storage, client)
        assert await images.at("http://outside.example/logo.png") is None
        await images.close()
        await client.close()
    assert len(outside.requests) == 1
    assert there.connections == 0


async def test_for_how_long_an_image_is_kept_is_bounded() -> None:
    hour = 3_600_000
    assert kept_for("") == 24 * hour
    assert kept_for("no-store, max-age=0") == hour
    assert kept_for("public, max-age=7200") == 2 * hour
    assert kept_for("max-age=999999999") == 7 * 24 * hour
    assert kept_for("s-maxage=5, x-max-age=1") == 24 * hour
