"""the contract about features, for mail that is handed in over the email service

Where a statement speaks of a login or of a header field, an app stands for it here: mail of the
service has the features and the tags of its app. It is posted, and what its recipients got is read
and followed.

Some statements have no meaning here:

- A23 to A28 are about fields in the header of a message. A request puts none there: what it calls
  like an option, among its members or in its own HTTP header, is none.
- A46 is about images that are embedded by a Content-ID. An attachment of the service has a name, a
  content and a type and nothing else; so none is embedded, and with images hosted it stays.
- A48 is about tags in a request, which this one has not.

B55 is about the octets that were composed of a request: the store has them, as they were taken.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.tokens import Token, TokenKind
from pillarbox.policy.directory import Mode
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.ids import (
    format_delivery_id,
    message_of,
    new_object_id,
    ordinal_of,
    parse_message_id,
)
from tests.doubles.bad_server import BadServer
from tests.doubles.reader import FIREFOX, Reader, Told
from tests.doubles.records import MessageRecord
from tests.doubles.script import Stage, say
from tests.doubles.web_server import WebReply, WebServer
from tests.e2e.clerk import API, ask, options_of, show
from tests.e2e.letters import read as parsed
from tests.fix_house import Houses, Running
from tests.fix_tracking import LOOPBACK, token_in
from tests.signatures.verifying import is_satisfied, records_of, verdicts

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "clicks.test"
SIGNED = "signed.example"
PNG = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STYLED = "<style>td { color: red }</style><table><tr><td>one</td><td>two</td></tr></table>"
URL = "https://example.com/shop/item%20one?id=7&ref=a%26b#reviews"
LINKED = f'<p><a href="{URL.replace("&", "&amp;")}">shoes</a></p>'
SHOWN = '<a href="http://www.example.com">www.example.com</a>'
PICTURE = '<img src="https://example.com/logo.png" alt="">'
TEXT = f"See {URL} or http://example.com/, <a href='http://example.com/'>x</a>"
FEATURES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
ALL_ON = {**dict.fromkeys(FEATURES, "true"), "images": "hosted"}


@dataclass(frozen=True)
class Mail:
    """One message as its recipient got it."""

    id: str
    record: MessageRecord

    @property
    def html(self) -> str:
        """The HTML part, decoded."""
        return self._part("html")

    @property
    def text(self) -> str:
        """The text part, decoded."""
        return self._part("plain")

    @property
    def links(self) -> list[str]:
        return self._addresses("href")

    @property
    def images(self) -> list[str]:
        return self._addresses("src")

    @property
    def attached(self) -> list[bytes]:
        """What goes with it, decoded."""
        return [each.get_content() for each in parsed(self.record.content).iter_attachments()]

    @property
    def fields(self) -> list[str]:
        """The names of its header fields."""
        return parsed(self.record.content).keys()

    def _part(self, kind: str) -> str:
        part = parsed(self.record.content).get_body((kind,))
        assert isinstance(part, EmailMessage)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload.decode().removesuffix("\r\n")

    def _addresses(self, attribute: str) -> list[str]:
        return [unescape(each) for each in re.findall(f'{attribute}="([^"]*)"', self.html)]


@dataclass
class Service:
    """One house with as many apps as there are sets of features, all with the same server."""

    house: Running
    sink: BadServer
    reader: Reader
    apps: dict[frozenset[tuple[str, str]], str] = field(default_factory=dict)

    async def app(self, features: Mapping[str, str]) -> str:
        """The name of the app that has these features and no others."""
        key = frozenset(features.items())
        if key not in self.apps:
            self.apps[key] = await self.new_app(features)
        return self.apps[key]

    async def new_app(self, features: Mapping[str, str]) -> str:
        """An app that nobody else changes."""
        directory = self.house.house.storage.directory
        name = f"shop-{len(await directory.apps())}"
        document = {"name": name, "from_address": "ann@example.com", "options": features}
        answer = await ask(self.house, "POST", f"{API}/apps", document)
        assert answer.status == 201, answer.body
        await self.change(name, mode="live")
        app = await directory.app_named(name)
        await directory.save_server(
            Server(
                new_object_id(), app.id, "sink", "127.0.0.1", self.sink.port,
                encryption=Encryption.NONE, priority=10,
            )
        )  # fmt: skip
        return name

    async def change(self, name: str, **facts: object) -> None:
        answer = await ask(self.house, "PATCH", f"{API}/apps/{name}", facts)
        assert answer.status == 200, answer.body

    async def post(self, name: str, document: Mapping[str, Any], **fields: str) -> list[Mail]:
        """What arrives of a request to an app, transaction by transaction."""
        before = len(self.sink.delivered)
        assert self.house.first is not None
        document = {"to": "bob@example.org", "subject": "hello", **document}
        headers = {"x-dreamfactory-api-key": self.house.first.key.reveal(), **fields}
        answer = await ask(self.house, "POST", f"/api/v2/{name}", document, **headers)
        assert answer.status == 200, answer.body
        found = self.sink.delivered[before:]
        people = [one for record in found for one in record.accepted_recipients]
        assert answer.json() == {"count": len(people)}
        return [Mail(_id_of(record), record) for record in found]

    async def sent(self, html: str, features: Mapping[str, str], **document: object) -> Mail:
        """What its one recipient gets of a mail in HTML and in text."""
        mail = {"body_text": TEXT, "body_html": html, **document}
        (found,) = await self.post(await self.app(features), mail)
        return found

    async def html(self, html: str, **features: str) -> str:
        return (await self.sent(html, features)).html

    async def links(self, html: str, **features: str) -> list[str]:
        return (await self.sent(html, {"trackclicks": "true", **features})).links

    async def target(self, html: str, **features: str) -> str:
        """Where the one link of a mail leads that leads to the tracking host."""
        (link,) = await self.links(html, **features)
        return (await self.token(link)).target

    async def composed(self, mail: Mail) -> bytes:
        """The message as it was taken."""
        return await self.house.house.storage.messages.content(parse_message_id(mail.id))

    async def token(self, address: str) -> Token:
        """What an address of the tracking host says."""
        return await token_in(self.house, address, HOST)

    async def follow(self, address: str) -> Told:
        """What the tracking host answers to whoever follows an address of it."""
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("https", HOST)
        return await self.reader.ask(parts.path + (f"?{parts.query}" if parts.query else ""))

    async def visit(self, mail: Mail) -> dict[str, Any]:
        """The one visit to a mail, as the API has it with its recipient and among the events."""
        await self.house.house.tracking.book.write(everything=True)
        deliveries = (await show(self.house, f"/messages/{mail.id}"))["deliveries"]
        ((recipient, visit),) = [
            (one["recipient"], visit) for one in deliveries for visit in one["visits"]
        ]
        assert mail.record.accepted_recipients == (recipient,)
        rows = await self.house.deliveries(parse_message_id(mail.id))
        (row,) = [each for each in rows if each.recipient == recipient]
        assert visit["message"] == mail.id
        assert visit["delivery"] == format_delivery_id(row.delivery)
        assert visit in await self.told(mail)
        return visit

    async def told(self, mail: Mail) -> list[dict[str, Any]]:
        """All events of a mail; the house is that of many tests, which wrote others meanwhile."""
        events = (await show(self.house, "/events?limit=500"))["items"]
        return [each for each in events if each["message"] == mail.id]


def _id_of(record: MessageRecord) -> str:
    (value,) = record.header("Message-ID")
    return value.decode().strip("<>").partition("@")[0]


def parts(content: bytes, mark: bytes) -> list[bytes]:
    """The parts whose header has this, to the octet."""
    every = content.split(b"\r\n--=_")
    return [part for part in every if mark in part.partition(b"\r\n\r\n")[0]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    houses = Houses(tmp_path_factory.mktemp("email") / "data")
    async with BadServer() as sink:
        house = await houses.start(
            Mode.LIVE, tracking=TrackingConfig(host=HOST), tracking_host=LOOPBACK
        )
        yield Service(house, sink, Reader(house.house.tracking.ports[0], name=HOST))
        await houses.stop()


# --- whose features -------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", FEATURES)
async def test_a29_b7_each_feature_is_switched_by_itself_app_by_app(
    service: Service, feature: str
) -> None:
    all_but = {name: str(name != feature).lower() for name in FEATURES}
    for features in ({feature: "true"}, all_but):
        mail = await service.sent(STYLED + LINKED + PICTURE, features)
        assert await options_of(service.house, mail.id) == {
            name: (value, "app") for name, value in features.items()
        }
        on = {name for name, value in features.items() if value == "true"}
        assert ("<td style=" in mail.html) == ("inlinecss" in on)
        assert (f'href="https://{HOST}/' in mail.html) == ("trackclicks" in on)
        assert (f'src="https://{HOST}/' in mail.html) == ("trackopens" in on)


async def test_features_that_are_switched_hold_for_the_next_request(service: Service) -> None:
    name = await service.new_app({"trackclicks": "true"})
    found = []
    for value in ("true", "false", "true"):
        await service.change(name, options={"trackclicks": value})
        (mail,) = await service.post(name, {"body_html": LINKED})
        found.append(HOST in mail.html)
    assert found == [True, False, True]


async def test_what_is_called_like_an_option_in_a_request_is_none(service: Service) -> None:
    named = {"x-smtpeter-trackclicks": "false", "X-Pillarbox-Images": "hosted"}
    document = {
        **named, "headers": named, "options": {"trackclicks": "false"}, "tags": "a,b",
        "trackclicks": False, "body_html": LINKED, "body_text": "hello\r\nx-smtpeter-tags: c",
        "subject": "hello x-smtpeter-tags: d", "template_data": named,
    }  # fmt: skip
    (mail,) = await service.post(await service.app({"trackclicks": "true"}), document, **named)
    assert await options_of(service.house, mail.id) == {"trackclicks": ("true", "app")}
    assert f'href="https://{HOST}/' in mail.html
    assert not [name for name in mail.fields if name.lower().startswith("x-")]
    assert (await show(service.house, f"/messages/{mail.id}"))["tags"] == []


async def test_a47_tags_of_an_app_are_exactly_those_of_its_mail_and_of_all_its_events(
    service: Service,
) -> None:
    mail = await service.sent(LINKED, {"tags": "a,b", "trackclicks": "true", "trackopens": "true"})
    for address in (*mail.links, *mail.images):
        assert (await service.follow(address)).status in (200, 302)
    await service.house.house.tracking.book.write(everything=True)
    document = await show(service.house, f"/messages/{mail.id}")
    assert document["tags"] == ["a", "b"]
    (delivery,) = document["deliveries"]
    of_the_message = [*delivery["history"], *delivery["visits"]]
    for events in (of_the_message, await service.told(mail)):
        assert sorted(each["kind"] for each in events) == [
            "delivery.handed_over", "message.accepted", "message.clicked", "message.opened",
        ]  # fmt: skip
        assert all(each["tags"] == ["a", "b"] for each in events)


async def test_b8_two_apps_with_other_features_give_other_output_for_the_same_request(
    service: Service,
) -> None:
    body = STYLED + LINKED + PICTURE
    assert await service.html(body) == body
    inlined = await service.html(body, inlinecss="true")
    tracked = await service.html(body, trackclicks="true", trackopens="true")
    assert "style=" in inlined and HOST not in inlined
    assert tracked.count(f"https://{HOST}/") == 2 and "style=" not in tracked


async def test_who_is_refused_a_tracked_mail_is_not_counted_and_others_get_it(
    service: Service,
) -> None:
    service.sink.script.on(Stage.RCPT, say(550, "5.1.1 nobody here"), times=1)
    (mail,) = await service.post(
        await service.app({"trackclicks": "true"}),
        {"body_html": LINKED, "to": [f"r{number}@example.org" for number in range(2)]},
    )
    assert f'href="https://{HOST}/' in mail.html


async def test_a_large_mail_is_changed_as_any_other(service: Service) -> None:
    body = STYLED + LINKED + "<p>some words</p>" * 6000
    mail = await service.sent(body, ALL_ON, attachments=attachment(PNG * 10_000))
    assert mail.html.count("<td style=") == mail.html.count(f"https://{HOST}/") == 2
    assert (mail.text, mail.attached) == (TEXT, [PNG * 10_000])


# --- links ----------------------------------------------------------------------------------------

ODD = [
    "http://example.com", URL, "HTTP://EXAMPLE.ORG/", "https://example.com/%7Ex/",
    "https://user:pass@example.net:8443/a/../b?x=%u2713", "https://example.com/?q=a+b&empty=&flag#",
    "https://xn--bcher-kva.example/%C3%BC",
]  # fmt: skip


async def test_a30_a31_every_web_link_leads_to_the_tracking_host_and_on_to_where_it_led(
    service: Service,
) -> None:
    body = "\n".join(f'<a href="{each.replace("&", "&amp;")}">go</a>' for each in ODD)
    links = await service.links(body)
    tokens = [await service.token(each) for each in links]
    assert [token.target for token in tokens] == ODD
    assert {token.kind for token in tokens} == {TokenKind.CLICK}
    for url, link in zip(ODD, links, strict=True):
        for address in (link, f"{link}?utm_source=x&fbclid=y"):
            told = await service.follow(address)
            assert (told.status, told.location) == (302, url)


async def test_a32_a_click_is_recorded_with_message_recipient_address_and_link(
    service: Service,
) -> None:
    html = f'<a href="https://example.com/">one</a>{LINKED}'
    found = await service.post(
        await service.app({"trackclicks": "true"}),
        {"body_html": html, "to": ["one@example.org"], "bcc": ["two@example.org"]},
    )
    mails = {mail.record.accepted_recipients: mail for mail in found}
    one, two = mails[("one@example.org",)], mails[("two@example.org",)]
    for number, mail in enumerate((one, two), 1):
        token = await service.token(mail.links[1])
        assert message_of(token.delivery) == parse_message_id(mail.id)
        assert ordinal_of(token.delivery) == number
    await service.follow(two.links[1])
    visit = await service.visit(two)
    assert visit["kind"] == "message.clicked"
    facts = visit["facts"]
    assert (facts["url"], facts["position"]) == (URL, 2)
    assert (facts["address"], facts["agent"]) == ("127.0.0.1", FIREFOX)


async def test_a33_the_same_address_twice_is_two_links(service: Service) -> None:
    one, two = await service.links(LINKED + LINKED)
    assert one != two
    first, second = await service.token(one), await service.token(two)
    assert (first.target, second.target) == (URL, URL)
    assert (first.position, second.position) == (1, 2)


async def test_a34_the_path_of_a_tracked_link_can_still_be_read(service: Service) -> None:
    (link,) = await service.links('<a href="https://example.com/shop/shoes?id=7">shoes</a>')
    assert urlsplit(link).netloc == HOST and urlsplit(link).path.endswith("/shop/shoes")


async def test_a35_without_click_tracking_no_link_is_changed(service: Service) -> None:
    html = await service.html(LINKED + SHOWN, trackopens="true", inlinecss="true")
    assert html.startswith(LINKED + SHOWN) and HOST in html.removeprefix(LINKED + SHOWN)


async def test_a36_what_is_no_web_link_is_never_changed(service: Service) -> None:
    kept = (
        '<a href="mailto:ann@example.com">write</a><a href="tel:+31">call</a><a href="#top">up</a>'
        '<a href="">here</a><a name="x">x</a><a href="/relative">y</a>'
    )
    html = await service.html(kept + LINKED, trackclicks="true")
    assert html.startswith(kept) and LINKED not in html


async def test_a37_the_text_part_is_not_changed_by_click_tracking(service: Service) -> None:
    mail = await service.sent(LINKED, {"trackclicks": "true"})
    assert LINKED not in mail.html
    assert mail.text == TEXT
    (composed,) = parts(await service.composed(mail), b"text/plain")
    assert parts(mail.record.content, b"text/plain") == [composed]


async def test_a38_an_unknown_or_forged_link_leads_nowhere(service: Service) -> None:
    good, other = await service.links(f'{LINKED}<a href="https://evil.example/">b</a>')
    assert [(await service.follow(each)).status for each in (good, other)] == [302, 302]
    one, two = good.split("/")[3], other.split("/")[3]
    mixed = f"/{two[: len(two) // 2]}{one[len(one) // 2 :]}"
    for path in (mixed, "/unknown", "/AQAB" + "A" * 60, "/unknown?u=https://evil.example/"):
        told = await service.reader.ask(path)
        assert (told.status, told.location) == (404, "")


async def is_kept(service: Service, body: str) -> bool:
    """Whether links stay as they are, beside one that does not."""
    html = await service.html(body + LINKED, trackclicks="true", preventscam="true")
    assert LINKED not in html and html.count(f'href="https://{HOST}/') >= 1
    return html.startswith(body) and html.count(HOST) == 1


async def test_b9_a_link_that_shows_itself_stays(service: Service) -> None:
    assert await is_kept(service, SHOWN)


async def test_b10_a_link_that_shows_words_does_not(service: Service) -> None:
    body = '<a href="http://www.example.com">our site</a>'
    assert await service.target(body, preventscam="true") == "http://www.example.com"


async def test_b11_without_preventscam_a_link_that_shows_itself_is_tracked(
    service: Service,
) -> None:
    assert await service.target(SHOWN) == "http://www.example.com"


async def test_b12_a_link_that_shows_itself_with_its_scheme_stays(service: Service) -> None:
    body = '<a href="http://www.example.com/a">http://www.example.com/a</a>'
    assert await is_kept(service, body)


async def test_b13_a_slash_at_the_end_and_the_case_of_the_host_make_no_difference(
    service: Service,
) -> None:
    body = (
        '<a href="http://www.example.com/">WWW.Example.com</a>'
        '<a href="http://WWW.example.com">www.example.com/</a>'
    )
    assert await is_kept(service, body)


async def test_b14_what_a_link_shows_is_its_text_without_markup(service: Service) -> None:
    body = '<a href="http://www.example.com"><b>www.<i>example</i>.com</b></a>'
    assert await is_kept(service, body)


async def test_b15_a_link_that_shows_another_host_is_tracked(service: Service) -> None:
    body = '<a href="http://www.example.org">www.example.com</a>'
    assert await service.target(body, preventscam="true") == "http://www.example.org"


# --- images ---------------------------------------------------------------------------------------


async def test_a39_images_lead_to_the_tracking_host(service: Service) -> None:
    other = '<IMG width=3 src="http://example.org/a.gif">'
    mail = await service.sent(PICTURE + other, {"trackopens": "true"})
    tokens = [await service.token(each) for each in mail.images]
    assert [(token.kind, token.target) for token in tokens] == [
        (TokenKind.IMAGE, "https://example.com/logo.png"),
        (TokenKind.IMAGE, "http://example.org/a.gif"),
    ]


async def test_a40_a_tracked_image_has_the_bytes_and_type_of_the_original(
    service: Service,
) -> None:
    reply = WebReply(body=PNG, fields={"content-type": "image/png"})
    async with WebServer(lambda request: reply) as server:
        url = server.url("/photo.png?w=9", host="127.0.0.1")
        (image,) = (await service.sent(f'<img src="{url}">', {"trackopens": "true"})).images
        told = await service.follow(image)
    assert (told.status, told.fields["content-type"], told.body) == (200, "image/png", PNG)
    assert [request.target for request in server.requests] == ["/photo.png?w=9"]


async def test_a41_a42_a_mail_without_images_gets_one_that_nobody_sees_and_that_tells_of_an_open(
    service: Service,
) -> None:
    html = f"<html><body>{LINKED}</body></html>"
    mail = await service.sent(html, {"trackopens": "true"})
    (tag,) = re.findall("<img [^>]*>", mail.html)
    assert 'width="1" height="1" alt=""' in tag
    assert mail.html.index(tag) < mail.html.index("</body>")
    assert mail.html.replace(tag, "") == html
    (pixel,) = mail.images
    assert (await service.token(pixel)).kind is TokenKind.PIXEL
    told = await service.follow(pixel)
    assert (told.status, told.fields["content-type"]) == (200, "image/gif")
    visit = await service.visit(mail)
    assert visit["kind"] == "message.opened"
    facts = visit["facts"]
    assert (facts["address"], facts["agent"]) == ("127.0.0.1", FIREFOX)


def attachment(data: bytes) -> Sequence[Mapping[str, str]]:
    content = base64.b64encode(data).decode()
    return [{"name": "logo.png", "content": content, "content_type": "image/png"}]


@pytest.mark.parametrize("features", [{"trackopens": "true"}, ALL_ON], ids=["opens", "all"])
async def test_a43_images_that_go_with_a_mail_are_not_changed_and_stay(
    service: Service, features: Mapping[str, str]
) -> None:
    shown = '<img src="cid:logo.png">'
    mail = await service.sent(shown, features, attachments=attachment(PNG))
    assert mail.html.startswith(shown) and HOST in mail.html.removeprefix(shown)
    assert mail.attached == [PNG]
    (composed,) = parts(await service.composed(mail), b"image/png")
    assert parts(mail.record.content, b"image/png") == [composed]


# --- styles ---------------------------------------------------------------------------------------


async def test_a44_a_rule_for_cells_stands_in_each_cell(service: Service) -> None:
    html = await service.html(STYLED, inlinecss="true")
    assert '<td style="color: red">one</td><td style="color: red">two</td>' in html


async def test_a45_what_an_element_says_itself_is_kept_and_wins(service: Service) -> None:
    body = '<style>td { color: red; margin: 0 }</style><table><tr><td style="color: blue">x</td>'
    html = await service.html(body, inlinecss="true")
    (style,) = re.findall('style="([^"]*)"', html)
    assert style.rstrip("; ").endswith("color: blue") and "margin: 0" in style


# --- what is not changed, and what is signed ------------------------------------------------------


async def test_a49_a_mail_in_plain_text_passes_all_features_unchanged(service: Service) -> None:
    text = f"{TEXT}\r\n<style>td {{ color: red }}</style><td>caf\u00e9</td>"
    document = {"body_text": text, "attachments": attachment(PNG)}
    for some in (document, {"body_text": text}):
        (mail,) = await service.post(await service.app(ALL_ON), some)
        assert mail.text == text
        assert mail.record.content == await service.composed(mail)
        assert (await options_of(service.house, mail.id)).keys() == ALL_ON.keys()


@pytest.mark.parametrize("features", [{}, {"preventscam": "true"}], ids=["none", "preventscam"])
async def test_b16_b55_without_features_and_with_preventscam_alone_nothing_is_changed(
    service: Service, features: Mapping[str, str]
) -> None:
    bodies = [
        STYLED + LINKED + SHOWN + PICTURE, "<A HREF='http://example.com'>x", "a\tb  \r\n\r\n x",
        "caf\u00e9 \u20ac", "<img src='cid:logo.png'>",
    ]  # fmt: skip
    for body in bodies:
        mail = await service.sent(body, features, attachments=attachment(PNG))
        assert (mail.html, mail.text, mail.attached) == (body, TEXT, [PNG])
        assert (await options_of(service.house, mail.id)).keys() == features.keys()
        assert mail.record.content == await service.composed(mail)
        assert mail.fields == [
            "Received", "Date", "From", "To", "Subject", "Message-ID", "MIME-Version",
            "Content-Type",
        ]  # fmt: skip


@pytest.mark.needs("dkimpy")
async def test_a50_a_signature_verifies_after_all_that_was_rewritten(service: Service) -> None:
    keys = [new_key(SIGNED, "rsa"), new_key(SIGNED, "ed", Algorithm.ED25519)]
    storage = service.house.house.storage
    domain = SendingDomain(new_object_id(), service.house.app.account, SIGNED, "c", proved_at=1)
    await storage.domains.save_domain(domain)
    await storage.domains.add_keys(
        domain.id,
        [
            (DkimKey(key.selector, key.algorithm, key.record, KeyState.ACTIVE), key.private_text())
            for key in keys
        ],
    )
    author = {"from_email": f"ann@{SIGNED}", "from_name": "Ann \u00dc."}
    body = STYLED + LINKED + PICTURE + "<p>Gr\u00fc\u00dfe</p>"
    name = await service.app(ALL_ON)
    found = []
    for document in (
        {"body_html": body, "body_text": TEXT, "attachments": attachment(PNG)},
        {"body_html": body, "bcc": ["cy@example.org"]},
        {"body_text": TEXT},
    ):
        found += await service.post(name, {**document, **author})
    assert len(found) == 4
    for mail in found[:3]:
        assert mail.html.count(f"https://{HOST}/") == 2 and "<td style=" in mail.html
    said = await verdicts(
        "dkimpy", [mail.record.content for mail in found], records_of(keys), SIGNED
    )
    assert len(said) == 4 and all(is_satisfied("dkimpy", each) for each in said), said
