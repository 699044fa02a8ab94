from __future__ import annotations

from dataclasses import replace

from pillarbox.policy.breaker import BreakerConfig, Circuit
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import from_broken, from_reply
from pillarbox.policy.server import Kind, Server
from pillarbox.policy.tls_policy import plan
from pillarbox.protocol.reply import Reply
from pillarbox.services.delivery.mx_hosts import MxHosts
from pillarbox.terms.ids import ObjectId

HOST = Server(
    ObjectId(b"way"), ObjectId(b"app"), "mx.example.org", "mx.example.org", kind=Kind.DIRECT,
    addresses=("192.0.2.1",), tls=plan("mx.example.org"),
)  # fmt: skip


class StoppedClock:
    def __init__(self) -> None:
        self.at = 1_000_000

    def now_ms(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000


def test_a_host_where_nobody_answers_is_passed_by_at_once_and_tried_again_after_a_pause() -> None:
    clock = StoppedClock()
    hosts = MxHosts(BreakerConfig(pause_seconds=30), clock)
    assert hosts.may_use("mx.example.org")
    hosts.failed(HOST, from_broken(Stage.CONNECT, "nobody listens there"))
    assert not hosts.may_use("mx.example.org")
    clock.at += 30_000
    assert hosts.may_use("mx.example.org"), "the trial"
    assert not hosts.may_use("mx.example.org"), "there is one"
    hosts.succeeded(HOST)
    assert hosts.may_use("mx.example.org") and hosts.circuit("mx.example.org") is Circuit.CLOSED


def test_a_host_that_refuses_us_is_tried_a_few_times() -> None:
    hosts = MxHosts(BreakerConfig(failures=3), StoppedClock())
    for _ in range(2):
        hosts.failed(HOST, from_reply(Stage.BANNER, Reply(554, None, ("go away",))))
        assert hosts.may_use("mx.example.org")
    hosts.failed(HOST, from_reply(Stage.BANNER, Reply(554, None, ("go away",))))
    assert not hosts.may_use("mx.example.org")


def test_a_host_that_asks_for_less_or_will_be_tried_in_clear_is_not_paused() -> None:
    hosts = MxHosts(BreakerConfig(failures=1), StoppedClock())
    hosts.failed(HOST, from_reply(Stage.MAIL, Reply(421, "4.7.28", ("slow down",))))
    hosts.failed(HOST, from_broken(Stage.STARTTLS, "the handshake failed"))
    assert hosts.may_use("mx.example.org")
    hosts.failed(replace(HOST, tls=None), from_broken(Stage.STARTTLS, "the handshake failed"))
    assert not hosts.may_use("mx.example.org")


def test_the_hosts_remembered_are_bounded() -> None:
    hosts = MxHosts(BreakerConfig(), StoppedClock())
    for number in range(20_010):
        hosts.failed(replace(HOST, host=f"mx{number}.example"), from_broken(Stage.CONNECT, "no"))
    assert len(hosts._breakers) == 20_000
