from __future__ import annotations

import pytest

from pillarbox.policy.connecting import (
    NOBODY,
    PASSWORD,
    ConnectConfig,
    Incoming,
    InvalidIncoming,
    LoginFacts,
    NotUsable,
    NoWayIn,
    Security,
    WayIn,
    WaysIn,
    login_facts,
    parse_incoming,
    sample_sender,
    ways_in,
)
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import App
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.setting import InvalidSetting

TLS, STARTTLS = Security.TLS, Security.STARTTLS
HOST = "mail.example.com"


def app(**more: object) -> App:
    return App(new_object_id(), new_object_id(), "shop", **more)  # type: ignore[arg-type]


def credential(**more: object) -> Credential:
    values = {"name": "web", "username": "web", "password_hash": b"", **more}
    return Credential(new_object_id(), new_object_id(), **values)  # type: ignore[arg-type]


def ports(*which: tuple[str, int, str], config: ConnectConfig | None = None) -> WaysIn:
    return ways_in(which, HOST, config or ConnectConfig())


# --- ways in ----------------------------------------------------------------------------------


def test_tls_from_the_first_byte_is_recommended_before_starttls() -> None:
    ways = ports(("0.0.0.0", 587, "STARTTLS"), ("0.0.0.0", 465, "TLS"))
    assert ways == WaysIn(HOST, (WayIn(465, TLS), WayIn(587, STARTTLS)))


def test_a_well_known_port_is_recommended_before_any_other() -> None:
    ways = ports(*(("::", port, "STARTTLS") for port in (25, 2525, 4000, 587)))
    assert ways.ways == (WayIn(587, STARTTLS),)
    assert ports(("::", 4000, "TLS"), ("::", 4001, "TLS")).ways == (WayIn(4000, TLS),)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_what_listens_on_loopback_is_reached_as_localhost(address: str) -> None:
    assert ports((address, 2525, "STARTTLS")).host == "localhost"


def test_a_port_for_others_is_recommended_before_one_on_loopback() -> None:
    ways = ports(("127.0.0.1", 465, "TLS"), ("192.0.2.7", 587, "STARTTLS"))
    assert ways == WaysIn(HOST, (WayIn(587, STARTTLS),))


def test_a_plain_port_is_recommended_to_nobody() -> None:
    with pytest.raises(NoWayIn) as none:
        ports(("127.0.0.1", 2526, "plain"))
    assert "connect.tls_port" in (none.value.fix or "")


def test_ports_outside_count_instead_of_those_that_are_open() -> None:
    config = ConnectConfig(tls_port=465)
    ways = ports(("127.0.0.1", 2465, "TLS"), ("127.0.0.1", 2525, "STARTTLS"), config=config)
    assert ways == WaysIn(HOST, (WayIn(465, TLS),))
    both = ConnectConfig(tls_port=465, starttls_port=587)
    assert ports(config=both) == WaysIn(HOST, (WayIn(465, TLS), WayIn(587, STARTTLS)))


def test_a_way_that_is_not_open_is_not_invented() -> None:
    ways = WaysIn(HOST, (WayIn(465, TLS),))
    assert ways.by(None) == ways.by(TLS) == WayIn(465, TLS)
    with pytest.raises(NoWayIn, match="STARTTLS"):
        ways.by(STARTTLS)


# --- the incoming server ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("imaps://imap.example.com", Incoming("imap", "imap.example.com", 993, TLS)),
        ("imap://imap.example.com/", Incoming("imap", "imap.example.com", 143, STARTTLS)),
        ("pop3s://b.example:9995", Incoming("pop3", "b.example", 9995, TLS)),
        ("pop3://b.example", Incoming("pop3", "b.example", 110, STARTTLS)),
        ("imaps://BÜCHER.example", Incoming("imap", "xn--bcher-kva.example", 993, TLS)),
    ],
)
def test_an_incoming_server_is_written_as_an_address(text: str, meant: Incoming) -> None:
    assert parse_incoming(text) == meant
    assert ConnectConfig(incoming=text).incoming_server == meant


@pytest.mark.parametrize(
    "text",
    [
        "imap.example.com", "https://a.example", "imaps://", "imaps://a b", "imaps://a:0",
        "imaps://a.example:65536", "imaps://a.example:1234567890", "imaps://u@a.example",
        "imaps://a.example/x", "imaps://a.example?x", "imaps://-a.example", "imaps://a..b",
        "imaps://" + "a" * 300, "imaps://a.example\n",
    ],
)  # fmt: skip
def test_anything_else_is_no_incoming_server(text: str) -> None:
    with pytest.raises(InvalidIncoming):
        parse_incoming(text)
    with pytest.raises(InvalidSetting, match="incoming"):
        ConnectConfig(incoming=text)


def test_no_incoming_server_is_none() -> None:
    assert ConnectConfig().incoming_server is None


# --- the facts about a login ------------------------------------------------------------------


def test_a_login_is_told_both_ports_and_the_one_to_use() -> None:
    ways = WaysIn(HOST, (WayIn(465, TLS), WayIn(587, STARTTLS)))
    facts = login_facts(credential(username="w"), app(), ways, ca_path="/ca.pem", security=STARTTLS)
    assert (facts.username, facts.host, facts.port) == ("w", HOST, 587)
    assert (facts.tls_port, facts.starttls_port, facts.ca_path) == (465, 587, "/ca.pem")
    assert facts.password == PASSWORD
    assert PASSWORD not in repr(facts), "what stands there may be a real one"
    assert not facts.is_local
    with pytest.raises(NoWayIn):
        login_facts(credential(), app(), WaysIn(HOST, (WayIn(465, TLS),)), security=STARTTLS)


@pytest.mark.parametrize("value", ["a\nb", "a\0", "a\x1b[31m", "a\u202eb", "a\u2028b", "a" * 5000])
@pytest.mark.parametrize("name", ["username", "password", "ca_path", "sender"])
def test_what_no_configuration_could_hold_is_refused(name: str, value: str) -> None:
    values = {"credential": "web", "username": "web", "host": HOST, "port": 465, "security": TLS}
    with pytest.raises(NotUsable):
        LoginFacts(**{"sender": "a@b.example", **values, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of_app", "of_login", "from_address", "meant"),
    [
        ((), (), "", NOBODY),
        ((), (), "shop@example.org", "shop@example.org"),
        ((), ("example.org", "a@b.example"), "", "a@b.example"),
        ((), ("example.org",), "", "you@example.org"),
        ((), ("example.org",), "shop@example.org", "shop@example.org"),
        ((), ("example.org",), "shop@other.example", "you@example.org"),
        ((), ("*.example.org",), "", NOBODY),
        (("example.org",), ("a@b.example", "c@example.org"), "", "c@example.org"),
        (("a@b.example",), ("example.org",), "", NOBODY),
    ],
)
def test_the_sender_of_an_example_is_one_the_login_may_use(
    of_app: tuple[str, ...], of_login: tuple[str, ...], from_address: str, meant: str
) -> None:
    sender = sample_sender(
        app(allowed_senders=of_app, from_address=from_address),
        credential(allowed_senders=of_login),
    )
    assert sender == meant
