from __future__ import annotations

from ipaddress import ip_address

import pytest

from pillarbox.net.smtp_ports import (
    PlannedPort,
    PortKind,
    Purpose,
    SmtpConfig,
    plan_ports,
)
from pillarbox.terms.setting import InvalidSetting

MAIL, BACK = Purpose.SUBMISSION, Purpose.BOUNCES
BOTH = frozenset({MAIL, BACK})


def plan(config: SmtpConfig, wanted: frozenset[Purpose] = BOTH) -> list[tuple[str, int, str, str]]:
    """Host, port, name, and purposes of each."""
    return [
        (each.host, each.port, each.name, "+".join(sorted(each.purposes)))
        for each in plan_ports(config, wanted)
    ]


def test_every_list_may_hold_any_ports() -> None:
    config = SmtpConfig(
        starttls_ports=(587, 2525), tls_ports=(465, 456), bounce_ports=(25,), local_ports=(2526,)
    )
    assert plan(config) == [
        ("127.0.0.1", 587, "starttls", "submission"),
        ("127.0.0.1", 2525, "starttls", "submission"),
        ("127.0.0.1", 465, "tls", "submission"),
        ("127.0.0.1", 456, "tls", "submission"),
        ("127.0.0.1", 25, "bounces", "bounces"),
        ("127.0.0.1", 2526, "local", "submission"),
    ]


def test_a_port_in_two_lists_serves_both_purposes_and_begins_as_its_own_list_says() -> None:
    config = SmtpConfig(starttls_ports=(25,), tls_ports=(465,), bounce_ports=(25, 465, 2025))
    assert plan(config) == [
        ("127.0.0.1", 25, "starttls", "bounces+submission"),
        ("127.0.0.1", 465, "tls", "bounces+submission"),
        ("127.0.0.1", 2025, "bounces", "bounces"),
    ]


def test_each_port_is_opened_on_each_address_but_plain_ones_on_this_machine_only() -> None:
    config = SmtpConfig(
        listen=("192.0.2.1", "2001:db8::1"), starttls_ports=(587,), tls_ports=(), local_ports=(26,)
    )
    assert plan(config) == [
        ("192.0.2.1", 587, "starttls", "submission"),
        ("2001:db8::1", 587, "starttls", "submission"),
        ("127.0.0.1", 26, "local", "submission"),
    ]


def test_a_node_opens_the_ports_of_its_purposes() -> None:
    config = SmtpConfig(starttls_ports=(25, 587), tls_ports=(), bounce_ports=(25, 2025))
    assert plan(config, frozenset({MAIL})) == [
        ("127.0.0.1", 25, "starttls", "submission"),
        ("127.0.0.1", 587, "starttls", "submission"),
    ]
    assert plan(config, frozenset({BACK})) == [
        ("127.0.0.1", 25, "bounces", "bounces"),
        ("127.0.0.1", 2025, "bounces", "bounces"),
    ]
    assert plan(config, frozenset()) == []


def test_ports_of_the_systems_choice_have_nothing_to_do_with_one_another() -> None:
    config = SmtpConfig(starttls_ports=(0, 0), tls_ports=(0,), bounce_ports=(0,), local_ports=(0,))
    assert [each.purposes for each in plan_ports(config, BOTH)] == [
        frozenset({MAIL}), frozenset({MAIL}), frozenset({MAIL}), frozenset({BACK}),
        frozenset({MAIL}),
    ]  # fmt: skip


def test_one_address_needs_no_list() -> None:
    assert SmtpConfig(listen="::").addresses == ("::",)
    assert SmtpConfig(listen=("192.0.2.1", "::1")).addresses == ("192.0.2.1", "::1")


def test_balancers_are_addresses_and_networks() -> None:
    config = SmtpConfig(proxy_from=("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"))
    inside = [ip_address(a) for a in ("192.0.2.7", "10.1.2.3", "2001:db8::1")]
    outside = [ip_address(a) for a in ("192.0.2.8", "11.0.0.1", "2001:db9::1")]
    assert all(any(a in network for network in config.balancers) for a in inside)
    assert not any(any(a in network for network in config.balancers) for a in outside)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"starttls_ports": (587, 587)}, "port 587 is listed twice"),
        ({"starttls_ports": (465,), "tls_ports": (465,)}, "port 465 is listed twice"),
        ({"bounce_ports": (25, 25)}, "port 25 is listed twice"),
        ({"bounce_ports": (25,), "local_ports": (25,)}, "port 25 is listed twice"),
        ({"listen": ()}, "listen names no address"),
        ({"listen": ""}, "listen names no address"),
        ({"listen": ("::1", "::1")}, "names an address twice"),
        ({"listen": ("*", "::1")}, "every address"),
        ({"proxy_from": ("192.0.2.1/24",)}, "has host bits set"),
        ({"proxy_from": ("balancer.example.com",)}, "proxy_from takes addresses and networks"),
        ({"max_bounce_mb": 0}, "max_bounce_mb must be at least 1"),
        ({"content_memory_mb": 0}, "content_memory_mb must be at least 1"),
        ({"max_idle_commands": 0}, "max_idle_commands must be at least 1"),
        ({"max_sessions_per_login": -1}, "max_sessions_per_login is counted from 0"),
        ({"max_arrivals_per_minute": -1}, "max_arrivals_per_minute is counted from 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(
    wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidSetting, match=told):
        SmtpConfig(**wrong)  # type: ignore[arg-type]


def test_a_planned_port_is_called_by_what_it_is_for() -> None:
    def name(kind: PortKind, *purposes: Purpose) -> str:
        return PlannedPort(kind, frozenset(purposes), "::", 1).name

    assert name(PortKind.STARTTLS, MAIL) == name(PortKind.STARTTLS, MAIL, BACK) == "starttls"
    assert name(PortKind.TLS, MAIL) == "tls"
    assert name(PortKind.STARTTLS, BACK) == name(PortKind.TLS, BACK) == "bounces"
