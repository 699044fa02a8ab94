"""what is offered is what may be used"""

from __future__ import annotations

import pytest

from pillarbox.protocol.extensions import Extensions, ServerLimits, offered_keywords

LIMITS = ServerLimits(max_message_bytes=1000, max_recipients=10)
ALWAYS = ["PIPELINING", "SIZE 1000", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"]


def offered(limits: ServerLimits, *, tls: bool = False, logged_in: bool = False) -> list[str]:
    return offered_keywords(limits, ["PLAIN", "LOGIN"], tls=tls, logged_in=logged_in)


def limits(**given: object) -> ServerLimits:
    return ServerLimits(max_message_bytes=1000, max_recipients=10, **given)  # type: ignore[arg-type]


def test_a_plain_server_offers_little() -> None:
    assert offered(LIMITS) == ALWAYS
    assert LIMITS.of_mail(tls=True) == {"SIZE", "BODY"}
    assert LIMITS.of_rcpt() == frozenset()


@pytest.mark.parametrize("name", ["RET", "ENVID"])
def test_dsn_comes_whole(name: str) -> None:
    with_dsn = limits(mail_parameters=frozenset({name}))
    assert offered(with_dsn) == [*ALWAYS, "DSN"]
    assert with_dsn.of_mail(tls=True) == {"SIZE", "BODY", "RET", "ENVID"}
    assert with_dsn.of_rcpt() == {"NOTIFY", "ORCPT"}


def test_smtputf8_is_offered_where_it_is_a_parameter() -> None:
    assert "SMTPUTF8" in offered(limits(mail_parameters=frozenset({"SMTPUTF8"})))


def test_requiretls_is_offered_and_taken_under_tls_only() -> None:
    """RFC 8689 §2"""
    with_it = limits(tls="starttls", mail_parameters=frozenset({"REQUIRETLS"}))
    assert "REQUIRETLS" not in offered(with_it) and "REQUIRETLS" not in with_it.of_mail(tls=False)
    assert "REQUIRETLS" in offered(with_it, tls=True) and "REQUIRETLS" in with_it.of_mail(tls=True)
    assert "REQUIRETLS" not in offered(limits(tls="active"), tls=True)


def test_starttls_is_not_offered_under_tls() -> None:
    with_tls = limits(tls="starttls")
    assert "STARTTLS" in offered(with_tls)
    assert "STARTTLS" not in offered(with_tls, tls=True)
    assert "STARTTLS" not in offered(limits(tls="active"), tls=True)


@pytest.mark.parametrize(
    ("auth", "tls", "taken"),
    [
        ("tls", False, False),
        ("tls", True, True),
        ("clear", False, True),
        ("clear", True, True),
        ("none", False, False),
        ("none", True, False),
    ],
)
def test_auth_is_offered_exactly_where_it_is_taken(auth: str, tls: bool, taken: bool) -> None:
    given = limits(auth=auth)
    assert given.takes_login(tls=tls) is taken
    assert ("AUTH PLAIN LOGIN" in offered(given, tls=tls)) is taken
    assert "AUTH PLAIN LOGIN" not in offered(given, tls=tls, logged_in=True)


def test_the_offers_of_a_peer_are_found_in_any_case() -> None:
    peer = Extensions.parse(
        ["pipelining", " SIZE 1000 ", "AUTH plain LOGIN", "AUTH CRAM-MD5", "", "X-ODD a b"]
    )
    assert peer.has("PIPELINING")
    assert not peer.has("STARTTLS")
    assert peer.size_limit == 1000
    assert peer.mechanisms == {"PLAIN", "LOGIN"}
    assert peer.keywords["X-ODD"] == "a b"


def test_auth_as_it_was_written_once_is_understood() -> None:
    assert Extensions.parse(["AUTH=LOGIN PLAIN"]).mechanisms == {"LOGIN", "PLAIN"}


@pytest.mark.parametrize("line", ["SIZE", "SIZE 0", "SIZE x", "SIZE -1", "SIZE ٣", "DSN"])
def test_a_size_that_is_no_limit_is_none(line: str) -> None:
    assert Extensions.parse([line]).size_limit is None


def test_after_helo_nothing_is_offered() -> None:
    nothing = Extensions()
    assert not nothing.keywords
    assert nothing.mechanisms == frozenset()
    assert nothing.size_limit is None
