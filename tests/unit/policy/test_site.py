from __future__ import annotations

import pytest

from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import from_broken, from_reply
from pillarbox.policy.site import SiteConfig, new_site, pains, site_of
from pillarbox.protocol.reply import Reply
from pillarbox.terms.setting import InvalidSetting

SLOW = from_reply(Stage.MAIL, Reply(421, "4.7.28", ("slow down",)))


def last_two(host: str) -> str:
    return ".".join(host.split(".")[-2:]) if "." in host else ""


def test_the_hosts_of_one_owner_are_one_site() -> None:
    assert (
        site_of("MX1.Google.com.", last_two)
        == site_of("alt2.mx.google.com", last_two)
        == "google.com"
    )
    assert site_of("localhost", last_two) == "localhost"


def test_a_site_gets_more_connections_while_it_takes_mail_and_fewer_when_it_asks_for_less() -> None:
    site = new_site("example.org", SiteConfig(connections=4))
    for wanted in (1, 2, 3, 4, 4):
        assert site.window.limit == wanted
        site.took()
    site.pained(from_reply(Stage.MAIL, Reply(451, "4.3.2", ("busy",))), 10.0)
    assert site.window.limit == 2
    assert site.may_begin(10.0), "busy is no reason to leave it alone"


def test_only_so_many_messages_are_on_their_way_at_once() -> None:
    site = new_site("example.org", SiteConfig(connections_of={"example.org": 1}))
    site.took()
    site.begin(0.0)
    assert not site.may_begin(0.0)
    site.end()
    assert site.may_begin(0.0)


def test_messages_begin_at_the_pace_that_is_set() -> None:
    site = new_site("example.org", SiteConfig(per_minute_of={"example.org": 30}))
    site.begin(100.0)
    site.end()
    assert not site.may_begin(101.9)
    assert site.may_begin(102.0)
    assert (
        new_site("example.net", SiteConfig(per_minute_of={"example.org": 30})).interval_seconds == 0
    )


def test_after_being_too_fast_a_site_is_left_alone_longer_each_time_until_it_takes_mail() -> None:
    site = new_site("example.org", SiteConfig(pause_seconds=5.0))
    site.pained(SLOW, 100.0)
    site.pained(SLOW, 101.0)
    assert not site.may_begin(104.9) and site.may_begin(105.0), "said twice of one moment"
    site.pained(SLOW, 105.0)
    assert site.next_at == 115.0
    site.took()
    site.pained(SLOW, 200.0)
    assert site.next_at == 205.0
    for _ in range(20):
        site.pained(SLOW, site.next_at)
    assert site.next_at - 205.0 < 20 * 300.0


def test_what_says_that_there_is_too_much_of_us_is_told_from_what_does_not() -> None:
    assert pains(SLOW)
    assert pains(from_reply(Stage.VERDICT, Reply(452, "4.3.1", ("no room",))))
    assert pains(from_broken(Stage.DATA, "closed the connection"))
    assert not pains(from_broken(Stage.CONNECT, "nobody listens there"))
    assert not pains(from_reply(Stage.RCPT, Reply(450, "4.7.1", ("Greylisted",))))
    assert not pains(from_reply(Stage.RCPT, Reply(550, "5.1.1", ("no such user",))))
    assert not pains(from_reply(Stage.BANNER, Reply(554, "5.7.1", ("go away",))))


@pytest.mark.parametrize("values", [
    {"connections": 0}, {"connections_of": {"example.org": 0}}, {"per_minute_of": {"example.org": 0.0}},
        {"connections_of": {"Example.org": 1}},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting):
        SiteConfig(**values)  # type: ignore[arg-type]
