"""the contract about what features do to a message, as its recipients see it"""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.tokens import Token, TokenKind
from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.terms.ids import ordinal_of, parse_message_id
from tests.doubles.bad_server import BadServer
from tests.doubles.reader import Reader, Told
from tests.doubles.records import MessageRecord
from tests.e2e.clerk import add_login, arrived, options_of, queued_as
from tests.e2e.porch import BOTH, hand_in, plain_login, protected
from tests.fix_house import Houses, Running
from tests.fix_tracking import LOOPBACK, token_in

HOST = "clicks.test"
PNG = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STYLED = "<style>td { color: red }</style><table><tr><td>one</td><td>two</td></tr></table>"
LINKED = '<p><a href="https://example.com/shop/shoes?id=7&amp;x=1">shoes</a></p>'
SHOWN = '<a href="http://www.example.com">www.example.com</a>'
PICTURE = '<img src="https://example.com/logo.png" alt="">'


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    """The server of the app, where everything that leaves is looked at."""
    async with BadServer() as server:
        yield server


@pytest.fixture
async def house(houses: Houses, sink: BadServer) -> Running:
    """Its mail leaves for the sink, and its links lead through a host of its own."""
    running = await houses.start(
        Mode.LIVE, smtp=BOTH, tracking=TrackingConfig(host=HOST), tracking_host=LOOPBACK
    )
    await running.add_server("sink", sink.port)
    return running


def letter(html: str, *fields: str) -> bytes:
    """A message of one HTML part."""
    head = "".join(f"{field}\r\n" for field in fields)
    return (
        f"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: hello\r\n{head}"
        f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n"
    ).encode()


class Shop:
    """Hands in mail by a login, and looks at what arrives."""

    def __init__(self, house: Running, sink: BadServer) -> None:
        self.house = house
        self.sink = sink

    async def queue(self, content: bytes, **options: str) -> str:
        """By a login that has these features and no others; gives the message's id."""
        name = f"login-{len(self.sink.delivered)}-{'-'.join(options)}"[:60]
        login = await add_login(self.house, name, options=options)
        async with protected(self.house, PortKind.TLS) as client:
            reply = await client.say(plain_login(login.username, login.password))
            assert reply.startswith(b"235 ")
            return queued_as(await hand_in(client, content))

    async def sent(self, content: bytes, **options: str) -> MessageRecord:
        """What arrives."""
        return await arrived(self.house, self.sink, await self.queue(content, **options))

    async def html(self, content: bytes, **options: str) -> str:
        """The HTML part of what arrives, decoded."""
        return html_of((await self.sent(content, **options)).content)

    async def asked(self, address: str) -> Told:
        """What the tracking host answers to whoever follows an address of it."""
        (port, *_) = self.house.house.tracking.ports
        return await Reader(port, name=HOST).ask(urlsplit(address).path)

    async def token(self, address: str) -> Token:
        """What an address of the tracking host says."""
        return await token_in(self.house, address, HOST)


@pytest.fixture
def shop(house: Running, sink: BadServer) -> Shop:
    return Shop(house, sink)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def html_of(content: bytes) -> str:
    part = parsed(content).get_body(("html",))
    assert part is not None
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def addresses(html: str, attribute: str) -> list[str]:
    """The values of an attribute, in their order."""
    return [each.replace("&amp;", "&") for each in re.findall(f'{attribute}="([^"]*)"', html)]


async def test_a23_a_field_inlines_styles_though_the_login_does_not(shop: Shop) -> None:
    html = await shop.html(letter(STYLED, "x-smtpeter-inlinecss: true"))
    assert html.count('<td style="color: red">') == 2
    assert (await shop.html(letter(STYLED))).strip() == STYLED


async def test_a24_a_field_leaves_styles_alone_though_the_login_inlines_them(shop: Shop) -> None:
    content = letter(STYLED, "x-smtpeter-inlinecss: false")
    assert (await shop.html(content, inlinecss="true")).strip() == STYLED
    assert "style=" in await shop.html(letter(STYLED), inlinecss="true")


async def test_a25_a_field_switches_each_of_the_other_features_on_and_off(shop: Shop) -> None:
    body = LINKED + SHOWN + PICTURE
    for feature, mark in (
        ("trackclicks", f'href="https://{HOST}/'),
        ("trackopens", f'src="https://{HOST}/'),
    ):
        on = await shop.html(letter(body, f"x-smtpeter-{feature}: true"))
        off = await shop.html(letter(body, f"x-smtpeter-{feature}: false"), **{feature: "true"})
        assert mark in on and HOST not in off
    careful = letter(SHOWN, "x-smtpeter-preventscam: true")
    careless = letter(SHOWN, "x-smtpeter-preventscam: false")
    assert SHOWN in await shop.html(careful, trackclicks="true")
    assert SHOWN not in await shop.html(careless, trackclicks="true", preventscam="true")
    for value, other in (("true", "false"), ("false", "true")):
        content = letter(body, f"x-smtpeter-trackbounces: {value}")
        message = await shop.queue(content, trackbounces=other)
        assert await options_of(shop.house, message) == {"trackbounces": (value, "header")}


async def test_a30_every_web_link_of_the_html_part_leads_to_the_tracking_host(shop: Shop) -> None:
    targets = [
        "http://example.com", "https://example.com/a?b=c&d=e#f", "HTTP://EXAMPLE.ORG/",
        "https://user@example.net:8443/x", "https://example.com/%7Ex/",
    ]  # fmt: skip
    body = "\r\n".join(f'<a href="{each.replace("&", "&amp;")}">go</a>' for each in targets)
    html = await shop.html(letter(body), trackclicks="true")
    tokens = [await shop.token(each) for each in addresses(html, "href")]
    assert [token.target for token in tokens] == targets
    assert {token.kind for token in tokens} == {TokenKind.CLICK}


async def test_a33_the_same_address_twice_is_two_links(shop: Shop) -> None:
    html = await shop.html(letter(LINKED + "\r\n" + LINKED), trackclicks="true")
    one, two = addresses(html, "href")
    assert one != two
    first, second = await shop.token(one), await shop.token(two)
    assert (first.target, first.position, second.position) == (second.target, 1, 2)


async def test_a34_the_path_of_a_tracked_link_can_still_be_read(shop: Shop) -> None:
    (address,) = addresses(await shop.html(letter(LINKED), trackclicks="true"), "href")
    assert urlsplit(address).path.endswith("/shop/shoes")


async def test_a35_without_click_tracking_no_link_is_changed(shop: Shop) -> None:
    html = await shop.html(letter(LINKED + SHOWN), trackopens="true", inlinecss="true")
    assert LINKED in html and SHOWN in html


async def test_a36_what_is_no_web_link_is_never_changed(shop: Shop) -> None:
    kept = (
        '<a href="mailto:ann@example.com">write</a><a href="tel:+31">call</a><a href="#top">up</a>'
        '<a href="">here</a><a name="x">x</a><a href="/relative">y</a>'
    )
    html = await shop.html(letter(kept + LINKED), trackclicks="true", preventscam="false")
    assert kept in html and LINKED not in html


async def test_a37_the_text_part_is_not_changed_by_click_tracking(shop: Shop) -> None:
    text = "See https://example.com/shop/shoes?id=7&x=1 or https://example.org/\r\n"
    content = (
        letter("").partition(b"MIME-Version")[0]
        + (
            "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
            f"--b\r\nContent-Type: text/html\r\n\r\n{LINKED}\r\n--b--\r\n"
        ).encode()
    )
    sent = await shop.sent(content, trackclicks="true")
    assert f"\r\n\r\n{text}\r\n--b\r\n".encode() in sent.content
    assert LINKED.encode() not in sent.content


async def test_a39_images_lead_to_the_tracking_host(shop: Shop) -> None:
    other = "<IMG width=3 SRC=http://example.org/a.gif>"
    html = await shop.html(letter(PICTURE + other), trackopens="true")
    tokens = [await shop.token(each) for each in re.findall(r'(?i)src="?([^" >]+)', html)]
    assert [(token.kind, token.target) for token in tokens] == [
        (TokenKind.IMAGE, "https://example.com/logo.png"),
        (TokenKind.IMAGE, "http://example.org/a.gif"),
    ]


async def test_a42_a_mail_without_images_gets_one_that_nobody_sees(shop: Shop) -> None:
    html = await shop.html(letter(f"<html><body>{LINKED}</body></html>"), trackopens="true")
    (tag,) = re.findall("<img [^>]*>", html)
    assert 'width="1" height="1" alt=""' in tag and html.index(tag) < html.index("</body>")
    (address,) = addresses(tag, "src")
    assert (await shop.token(address)).kind is TokenKind.PIXEL


def with_image(html: str, *fields: str) -> bytes:
    """A message that shows an image which travels with it."""
    head = letter("", *fields).partition(b"MIME-Version")[0]
    data = binascii.b2a_base64(PNG, newline=False).decode()
    return (
        head
        + (
            "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n"
            "--b\r\nContent-Type: image/png\r\nContent-ID: <logo@shop>\r\n"
            f"Content-Transfer-Encoding: base64\r\n\r\n{data}\r\n--b--\r\n"
        ).encode()
    )


async def test_a43_embedded_images_are_not_changed_by_open_tracking(shop: Shop) -> None:
    shown = '<img src="cid:logo@shop">'
    sent = await shop.sent(with_image(shown), trackopens="true")
    assert shown in html_of(sent.content)
    assert PNG in [part.get_payload(decode=True) for part in parsed(sent.content).walk()]


async def test_a44_a_rule_for_cells_stands_in_each_cell(shop: Shop) -> None:
    html = await shop.html(letter(STYLED), inlinecss="true")
    assert '<td style="color: red">one</td><td style="color: red">two</td>' in html


async def test_a45_what_an_element_says_itself_is_kept_and_wins(shop: Shop) -> None:
    body = '<style>td { color: red; margin: 0 }</style><table><tr><td style="color: blue">x</td>'
    html = await shop.html(letter(body), inlinecss="true")
    (style,) = addresses(html, "style")
    assert style.rstrip("; ").endswith("color: blue") and "margin: 0" in style


async def test_a46_hosted_images_leave_the_message_and_are_served_at_an_address(
    shop: Shop,
) -> None:
    content = with_image('<img src="cid:logo@shop">', "x-smtpeter-images: hosted")
    sent = await shop.sent(content)
    assert [part.get_content_type() for part in parsed(sent.content).walk()] == [
        "multipart/related", "text/html",
    ]  # fmt: skip
    (address,) = addresses(html_of(sent.content), "src")
    token = await shop.token(address)
    assert token.kind is TokenKind.HOSTED
    told = await shop.asked(address)
    assert (told.status, told.fields["content-type"], told.body) == (200, "image/png", PNG)


async def test_what_left_leads_to_where_it_led(shop: Shop) -> None:
    url = "https://example.com/shop/shoes?id=7&x=1#top"
    html = await shop.html(
        letter(f'<a href="{url.replace("&", "&amp;")}">x</a>'),
        trackclicks="true",
        trackopens="true",
    )
    (link,), (pixel,) = addresses(html, "href"), addresses(html, "src")
    told = await shop.asked(link)
    assert (told.status, told.location) == (302, url)
    told = await shop.asked(pixel)
    assert (told.status, told.fields["content-type"]) == (200, "image/gif")


ALL_ON = {
    "inlinecss": "true", "trackclicks": "true", "trackopens": "true", "preventscam": "true",
    "images": "hosted",
}  # fmt: skip


def below_trace(sent: MessageRecord) -> bytes:
    """Without the fields that were put on top."""
    return sent.content[sent.content.index(b"From: ann@") :]


@pytest.mark.parametrize("field", ["Content-Type: text/plain", "X-Nothing: 1"])
async def test_a49_a_mail_in_plain_text_passes_all_features_unchanged(
    shop: Shop, field: str
) -> None:
    content = (
        f"From: ann@example.com\r\nSubject: hello\r\n{field}\r\n\r\n"
        "See http://example.com/ <a href='http://example.com/'>x</a> <style>td{}</style>\r\n"
    ).encode()
    assert below_trace(await shop.sent(content, **ALL_ON)) == content


async def test_b8_two_logins_with_other_features_give_other_output_for_the_same_message(
    shop: Shop,
) -> None:
    content = letter(STYLED + LINKED + PICTURE)
    plain = await shop.html(content)
    inlined = await shop.html(content, inlinecss="true")
    tracked = await shop.html(content, trackclicks="true", trackopens="true")
    assert len({plain, inlined, tracked}) == 3
    assert "style=" in inlined and HOST not in inlined
    assert HOST in tracked and "style=" not in tracked


async def links(shop: Shop, body: str, **options: str) -> list[str]:
    return addresses(await shop.html(letter(body), trackclicks="true", **options), "href")


async def test_b9_a_link_that_shows_itself_stays(shop: Shop) -> None:
    assert SHOWN in await shop.html(letter(SHOWN), trackclicks="true", preventscam="true")


async def test_b10_a_link_that_shows_words_does_not(shop: Shop) -> None:
    body = '<a href="http://www.example.com">our site</a>'
    (address,) = await links(shop, body, preventscam="true")
    assert (await shop.token(address)).target == "http://www.example.com"


async def test_b11_without_preventscam_a_link_that_shows_itself_is_tracked(shop: Shop) -> None:
    (address,) = await links(shop, SHOWN)
    assert (await shop.token(address)).target == "http://www.example.com"


async def test_b12_a_link_that_shows_itself_with_its_scheme_stays(shop: Shop) -> None:
    body = '<a href="http://www.example.com/a">http://www.example.com/a</a>'
    assert await links(shop, body, preventscam="true") == ["http://www.example.com/a"]


async def test_b13_a_slash_at_the_end_and_the_case_of_the_host_make_no_difference(
    shop: Shop,
) -> None:
    body = (
        '<a href="http://www.example.com/">WWW.Example.com</a>'
        '<a href="http://WWW.example.com">www.example.com/</a>'
    )
    assert await links(shop, body, preventscam="true") == [
        "http://www.example.com/", "http://WWW.example.com",
    ]  # fmt: skip


async def test_b14_what_a_link_shows_is_its_text_without_markup(shop: Shop) -> None:
    body = '<a href="http://www.example.com"><b>www.<i>example</i>.com</b></a>'
    assert await links(shop, body, preventscam="true") == ["http://www.example.com"]


async def test_b15_a_link_that_shows_another_host_is_tracked(shop: Shop) -> None:
    body = '<a href="http://www.example.org">www.example.com</a>'
    (address,) = await links(shop, body, preventscam="true")
    assert (await shop.token(address)).target == "http://www.example.org"


async def test_b16_preventscam_alone_changes_nothing(shop: Shop) -> None:
    content = letter(SHOWN + LINKED + PICTURE)
    assert below_trace(await shop.sent(content, preventscam="true")) == content


async def test_b55_without_features_the_body_is_the_same_to_the_byte(shop: Shop) -> None:
    bodies = [
        STYLED + LINKED + PICTURE, "<A HREF='http://example.com'>x", "a\tb  \r\n\r\n x",
        "caf\u00e9 \u20ac", "",
    ]  # fmt: skip
    for body in bodies:
        content = letter(body)
        assert below_trace(await shop.sent(content)) == content


async def test_each_recipient_of_a_tracked_message_has_links_and_a_transaction_of_his_own(
    shop: Shop, house: Running, sink: BadServer
) -> None:
    login = await add_login(house, "many", options={"trackclicks": "true"})
    people = [f"r{number}@example.org" for number in range(5)]
    async with protected(house, PortKind.TLS) as client:
        await client.say(plain_login(login.username, login.password))
        await client.say(b"MAIL FROM:<ann@example.com>\r\n")
        for one in people:
            await client.say(b"RCPT TO:<%b>\r\n" % one.encode())
        await client.say(b"DATA\r\n")
        message = queued_as(await client.say(letter(LINKED) + b".\r\n"))
    await house.until(parse_message_id(message))
    found = {}
    for record in sink.delivered:
        (recipient,) = record.accepted_recipients
        (address,) = addresses(html_of(record.content), "href")
        found[recipient] = ordinal_of((await shop.token(address)).delivery)
    assert found == {one: number for number, one in enumerate(people, 1)}
