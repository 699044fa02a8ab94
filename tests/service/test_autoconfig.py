"""what mail programs ask for by themselves, and what strangers make of it"""

from __future__ import annotations

import codecs
import tracemalloc
from dataclasses import replace
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.api.app import build_app
from pillarbox.api.autoconfig import CONFIG_PATHS, DISCOVER_PATHS
from pillarbox.api.autodiscover_request import Discovery, InvalidDiscovery, read_discovery
from pillarbox.api.rooms import ListenerFact, SmtpFacts
from pillarbox.policy.connecting import ConnectConfig
from tests.fix_api_face import Answer, Face

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
ENVELOPE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
(CONFIG, WELL_KNOWN), DISCOVER = CONFIG_PATHS, DISCOVER_PATHS[0]


@pytest.fixture(autouse=True)
def both_ports(face: Face) -> None:
    listening(face)


def listening(face: Face, *listeners: ListenerFact, **config: object) -> None:
    facts = SmtpFacts(
        listeners or (ListenerFact("0.0.0.0", 587, "STARTTLS"), ListenerFact("0.0.0.0", 465, "TLS"))
    )
    face.rooms = replace(
        face.rooms,
        smtp_facts=lambda: facts,
        connect=ConnectConfig(**config),  # type: ignore[arg-type]
    )
    face.public = build_app(face.rooms)


async def config(face: Face, address: str = "", path: str = CONFIG) -> ElementTree.Element:
    query = f"?emailaddress={quote(address)}" if address else ""
    answer = await face.ask("GET", path + query, key=None)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    return ElementTree.fromstring(answer.body)


def discovery(address: str = "ann@example.com", schema: str = OUTLOOK) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{REQUEST}"><Request>'
        f"<EMailAddress>{address}</EMailAddress>"
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    ).encode()


async def discover(face: Face, body: bytes, path: str = DISCOVER) -> Answer:
    return await face.ask("POST", path, body=body, key=None, headers={"content-type": "text/xml"})


def error_code(answer: Answer) -> str | None:
    assert answer.status == 200
    return ElementTree.fromstring(answer.body).findtext(f".//{{{ENVELOPE}}}ErrorCode")


# --- Mozilla's form ---------------------------------------------------------------------------


async def test_thunderbird_is_told_all_that_it_needs_of_an_outgoing_server(face: Face) -> None:
    root = await config(face, "ann@example.org")
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    (provider,) = root.findall("emailProvider")
    assert provider.get("id") == provider.findtext("domain") == "example.org"
    servers = provider.findall("outgoingServer")
    assert [
        [server.get("type"), *(server.findtext(name) for name in
         ("hostname", "port", "socketType", "authentication", "username"))]
        for server in servers
    ] == [
        ["smtp", "mail.example.com", "465", "SSL", "password-cleartext", "%EMAILADDRESS%"],
        ["smtp", "mail.example.com", "587", "STARTTLS", "password-cleartext", "%EMAILADDRESS%"],
    ]  # fmt: skip
    assert provider.findall("incomingServer") == []


async def test_both_addresses_give_one_answer(face: Face) -> None:
    asked = "?emailaddress=ann@example.com"
    first = await face.ask("GET", CONFIG + asked, key=None)
    assert first.body == (await face.ask("GET", WELL_KNOWN + asked, key=None)).body
    assert (await face.ask("HEAD", CONFIG + asked, key=None)).status == 200


async def test_with_an_incoming_server_thunderbird_can_set_itself_up(face: Face) -> None:
    listening(face, incoming="imap://imap.example.net")
    (server,) = (await config(face, "ann@example.com")).iter("incomingServer")
    assert server.get("type") == "imap"
    assert [server.findtext(n) for n in ("hostname", "port", "socketType", "authentication")] == [
        "imap.example.net", "143", "STARTTLS", "password-cleartext",
    ]  # fmt: skip


async def test_without_an_address_our_own_name_is_the_domain(face: Face) -> None:
    assert (await config(face)).findtext(".//domain") == "mail.example.com"


async def test_nobody_learns_which_addresses_have_a_login(face: Face) -> None:
    await face.own("POST", "/credentials", {"name": "ann", "username": "ann@example.com"})
    answers = [
        await face.ask("GET", f"{CONFIG}?emailaddress={name}@example.com", key=None)
        for name in ("ann", "nobody", "root")
    ]
    assert len({(a.status, a.body) for a in answers}) == 1
    said = [await discover(face, discovery(f"{name}@example.com")) for name in ("ann", "eve")]
    assert said[0].body.replace(b"ann@", b"eve@") == said[1].body


@pytest.mark.parametrize(
    "address",
    [
        "nobody", "@", "a@b@c", "a@-b", "a@b..c", "a@" + "x" * 5000, "x" * 5000 + "@example.com",
        "a@<script>alert(1)</script>", "a@example.com\r\nX: y", "a@example.com\0", "\x1b[2J@a.example",
        "<img>@example.com", "a@[127.0.0.1",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_and_not_repeated(face: Face, address: str) -> None:
    answer = await face.ask("GET", f"{CONFIG}?emailaddress={quote(address)}", key=None)
    assert answer.status == 422
    assert b"script" not in answer.body and b"xxxx" not in answer.body
    assert len(answer.body) < 1000


@pytest.mark.parametrize(
    "address", ['"<&>"@example.com', "a@xn--bcher-kva.example", "a@[IPv6:::1]", "ä@bücher.example"]
)
async def test_an_odd_address_is_escaped(face: Face, address: str) -> None:
    assert (await config(face, address)).find(".//domain") is not None
    answer = await discover(face, discovery(address.replace("&", "&amp;").replace("<", "&lt;")))
    login = ElementTree.fromstring(answer.body).findtext(f".//{{{OUTLOOK}}}LoginName")
    assert login is not None and login.partition("@")[0] == address.partition("@")[0]


async def test_ports_that_a_firewall_maps_are_told_as_they_are_outside(face: Face) -> None:
    listening(face, ListenerFact("127.0.0.1", 2465, "TLS"), tls_port=465)
    root = await config(face, "ann@example.com")
    assert [each.text for each in root.iter("port")] == ["465"]
    assert root.findtext(".//hostname") == "mail.example.com"


async def test_where_nothing_listens_nothing_is_told(face: Face) -> None:
    listening(face, ListenerFact("127.0.0.1", 2526, "plain"))
    assert (await face.ask("GET", CONFIG, key=None)).status == 409
    assert (await discover(face, discovery())).status == 409


# --- Outlook's form ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", DISCOVER_PATHS)
async def test_outlook_is_told_all_that_it_needs_of_an_outgoing_server(
    face: Face, path: str
) -> None:
    answer = await discover(face, discovery("ann@example.org"), path)
    assert answer.status == 200
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{{{ENVELOPE}}}Autodiscover"
    account = root.find(f"{{{OUTLOOK}}}Response/{{{OUTLOOK}}}Account")
    assert account is not None
    said = {each.tag.rpartition("}")[2]: each.text for each in account}
    assert (said["AccountType"], said["Action"]) == ("email", "settings")
    (protocol,) = account.findall(f"{{{OUTLOOK}}}Protocol")
    assert {each.tag.rpartition("}")[2]: each.text for each in protocol} == {
        "Type": "SMTP", "Server": "mail.example.com", "Port": "465", "DomainRequired": "off",
        "LoginName": "ann@example.org", "SPA": "off", "SSL": "on", "Encryption": "SSL",
        "AuthRequired": "on", "UsePOPAuth": "off", "SMTPLast": "off",
    }  # fmt: skip


async def test_outlook_is_told_of_starttls_and_of_an_incoming_server(face: Face) -> None:
    only = ListenerFact("0.0.0.0", 587, "STARTTLS")
    listening(face, only, incoming="pop3s://pop.example.com")
    root = ElementTree.fromstring((await discover(face, discovery())).body)
    said = [
        [each.findtext(f"{{{OUTLOOK}}}{name}") for name in ("Type", "Server", "Port", "Encryption")]
        for each in root.iter(f"{{{OUTLOOK}}}Protocol")
    ]
    assert said == [
        ["POP3", "pop.example.com", "995", "SSL"],
        ["SMTP", "mail.example.com", "587", "TLS"],
    ]


async def test_a_phone_that_looks_for_exchange_does_not_find_it_here(face: Face) -> None:
    assert error_code(await discover(face, discovery(schema=MOBILE))) == "601"


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><Autodiscover><Request><EMailAddress>&i;</EMailAddress></Request></Autodiscover>"
)
XXE = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    "<Autodiscover><Request><EMailAddress>&x;@a.example</EMailAddress>"
    f"<AcceptableResponseSchema>{OUTLOOK}</AcceptableResponseSchema></Request></Autodiscover>"
)
PARAMETER = '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]><Autodiscover/>'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"<", b"<a/>", b"<Autodiscover><Request/></Autodiscover>", BOMB.encode(),
        XXE.encode(), PARAMETER.encode(), b"<!DOCTYPE Autodiscover><Autodiscover/>",
        b"<a>" * 2000, b"<Autodiscover>" + b"<a/>" * 500 + b"</Autodiscover>",
        discovery("a" * 3000 + "@example.com"), discovery("nobody"), discovery("a@b", ""),
        discovery("<b>a@example.com</b>"), b"\xff\xfe", b"\0" * 100,
        b'<?xml version="1.0" encoding="nonsense"?><Autodiscover/>',
        b'<?xml version="1.0" encoding="rot13"?><Autodiscover/>',
        b'<?xml version="1.0" encoding="utf-7"?><Autodiscover/>',
        b'<?xml version="1.0" encoding="punycode"?><Autodiscover/>',
        discovery() + b"<more/>", discovery("&lt;a&gt;@example.com"), discovery("&bogus;@a.example"),
    ],
    ids=range(24),
)  # fmt: skip
async def test_a_request_that_is_none_is_answered_as_one(face: Face, body: bytes) -> None:
    assert error_code(await discover(face, body)) == "600"


async def test_a_bomb_takes_no_memory(face: Face) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidDiscovery):
            read_discovery(BOMB.encode())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


async def test_a_request_beyond_any_reason_is_not_read(face: Face) -> None:
    answer = await discover(face, discovery("a@example.com") + b" " * 20_000)
    assert answer.status == 413
    answer = await face.ask("POST", DISCOVER, chunks=[b"<a>" * 4000] * 3, key=None)
    assert answer.status == 413


async def test_another_method_is_refused(face: Face) -> None:
    assert (await face.ask("GET", DISCOVER, key=None)).headers["allow"] == "POST"
    assert (await face.ask("POST", CONFIG, body=b"", key=None)).headers["allow"] == "GET"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_request_is_read_in_any_usual_encoding(encoding: str) -> None:
    text = discovery(" ann@example.com\n").decode().replace("utf-8", encoding)
    mark = codecs.BOM_UTF8 if encoding == "utf-8" else b""
    assert read_discovery(mark + text.encode(encoding)) == Discovery("ann@example.com", OUTLOOK)


def test_a_namespace_of_its_own_and_unknown_elements_do_no_harm() -> None:
    text = discovery().decode().replace("<Request>", "<Request><Legacy><a/></Legacy>")
    text = text.replace("<EMailAddress>", '<x:EMailAddress xmlns:x="urn:x">')
    text = text.replace("</EMailAddress>", "</x:EMailAddress>")
    assert read_discovery(text.encode()).address == "ann@example.com"


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: discovery(t)))
def test_no_request_is_more_than_refused(body: bytes) -> None:
    try:
        found = read_discovery(body)
    except InvalidDiscovery:
        return
    assert len(found.address) <= 512 and len(found.schema) <= 512
