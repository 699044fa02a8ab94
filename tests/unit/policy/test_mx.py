from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.delivery import State
from pillarbox.policy.lookup import Answer, Mx, Status
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.mx import (
    DirectConfig,
    Exchangers,
    chosen,
    exchangers_of,
    left_alone,
    literal_address,
    loops,
    misnamed,
    no_time_left,
    nonexistent,
    not_looked_up,
    not_public,
    out_of_family,
    permitted,
    site_full,
    unaddressed,
    waits_here,
)
from pillarbox.policy.networks import is_public
from pillarbox.policy.outcome import Blame, Outcome, from_reply
from pillarbox.protocol.reply import Reply
from pillarbox.terms.setting import InvalidSetting


def answer(*records: tuple[int, str]) -> Answer:
    return Answer(Status.FOUND, tuple(Mx(preference, host) for preference, host in records))


def hosts(found: Exchangers | Outcome) -> list[list[str]]:
    assert isinstance(found, Exchangers), found
    return [sorted(group) for group in found.groups]


def asked(
    found: Answer, own: tuple[str, ...] = (), most: int = 20, seed: int = 1
) -> Exchangers | Outcome:
    return exchangers_of("example.org", found, seed, own, most)


def test_hosts_come_in_the_order_of_their_preference() -> None:
    found = asked(
        answer((30, "c.example"), (10, "a.example"), (20, "b.example"), (10, "d.example"))
    )
    assert hosts(found) == [["a.example", "d.example"], ["b.example"], ["c.example"]]


def test_hosts_of_equal_preference_take_turns_and_the_same_seed_gives_the_same_order() -> None:
    records = answer(*((10, f"mx{number}.example") for number in range(4)))
    firsts = []
    for seed in range(400):
        found = asked(records, seed=seed)
        assert isinstance(found, Exchangers) and found == asked(records, seed=seed)
        firsts.append(found.groups[0][0])
    assert all(60 < firsts.count(f"mx{number}.example") < 140 for number in range(4))


def test_a_host_named_twice_is_tried_once_at_its_better_preference() -> None:
    assert hosts(asked(answer((20, "a.example"), (10, "a.example"), (15, "b.example")))) == [
        ["a.example"], ["b.example"]
    ]  # fmt: skip


def test_of_a_hundred_hosts_only_the_first_are_tried() -> None:
    found = asked(answer(*((number, f"mx{number}.example") for number in range(100))), most=3)
    assert hosts(found) == [["mx0.example"], ["mx1.example"], ["mx2.example"]]


def test_a_domain_without_mx_records_is_its_own_host() -> None:
    found = asked(Answer(Status.NO_DATA))
    assert hosts(found) == [["example.org"]] and isinstance(found, Exchangers) and found.implicit


def test_a_null_mx_ends_the_matter_and_beside_others_means_nothing() -> None:
    found = asked(answer((0, "")))
    assert isinstance(found, Outcome)
    assert (found.state, found.status, found.next_host) == (State.FAILED, "5.1.10", False)
    assert hosts(asked(answer((0, ""), (10, "mx.example")))) == [["mx.example"]]


def test_that_nobody_could_tell_is_our_trouble_and_another_way_may_be_taken() -> None:
    found = asked(Answer(Status.TROUBLE, words="the DNS server 127.0.0.1 did not answer in time"))
    assert isinstance(found, Outcome)
    assert (found.state, found.blame, found.next_host) == (State.DEFERRED, Blame.US, True)
    assert found.category == Category.LOOKUP_FAILED and "in time" in found.words


def test_from_ourselves_on_no_host_is_tried() -> None:
    records = answer((10, "a.example"), (20, "relay.example"), (20, "b.example"), (30, "c.example"))
    assert hosts(asked(records, ("RELAY.example",))) == [["a.example"]]
    found = asked(answer((10, "relay.example"), (20, "b.example")), ("relay.example",))
    assert isinstance(found, Outcome)
    assert (found.state, found.status) == (State.FAILED, "5.4.6")


def test_what_is_no_name_of_a_host_is_not_tried() -> None:
    assert hosts(asked(answer((10, "127.0.0.1"), (20, "a b.example"), (30, "mx.example")))) == [
        ["mx.example"]
    ]
    found = asked(answer((10, "192.0.2.1")))
    assert isinstance(found, Outcome)
    assert (found.state, found.status) == (State.FAILED, "5.4.4") and "192.0.2.1" in found.words


@given(
    st.lists(st.tuples(st.integers(0, 65535), st.text(max_size=20)), max_size=30),
    st.integers(0),
    st.integers(1, 20),
)
def test_whatever_the_records_are_there_are_hosts_or_a_reason(
    records: list[tuple[int, str]], seed: int, most: int
) -> None:
    found = asked(answer(*records), most=most, seed=seed)
    if isinstance(found, Outcome):
        assert found.words
    else:
        assert 1 <= sum(map(len, found.groups)) <= most


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
    "2001:db8::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "::ffff:0:7f00:1",
])  # fmt: skip
def test_addresses_of_one_machine_or_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2a00:1450:4001::1a", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_private_addresses_are_permitted_where_the_operator_lists_them() -> None:
    found = ["10.1.2.3", "8.8.8.8", "10.2.0.1", "::1"]
    assert permitted(found, ()) == ["8.8.8.8"]
    assert permitted(found, ("10.1.0.0/16", "::1")) == ["10.1.2.3", "8.8.8.8", "::1"]


def test_addresses_are_put_in_order_by_family_and_there_are_only_so_many() -> None:
    found = ["2a00::1", "8.8.8.8", "2a00::2", "8.8.4.4"]
    assert set(chosen(found, "ipv4", 2, 1)) == {"8.8.8.8", "8.8.4.4"}
    assert set(chosen(found, "ipv6", 2, 1)) == {"2a00::1", "2a00::2"}
    assert set(chosen(found, "ipv4", 9, 1)) == set(found)
    assert set(chosen(found, "ipv6 only", 9, 1)) == {"2a00::1", "2a00::2"}
    assert chosen(found, "ipv4 only", 9, 1, local_address="2a00::9") == ()
    assert set(chosen(found, "ipv4", 9, 1, local_address="2a00::9")) == {"2a00::1", "2a00::2"}


def test_the_order_of_addresses_stays_the_same_for_a_seed_whatever_order_the_dns_gives() -> None:
    found = [f"8.8.8.{number}" for number in range(8)]
    assert chosen(found, "ipv4", 4, 7) == chosen(found[::-1], "ipv4", 4, 7)
    assert len({chosen(found, "ipv4", 1, seed) for seed in range(50)}) > 3


def test_an_address_in_brackets_is_read() -> None:
    assert literal_address("[192.0.2.1]") == "192.0.2.1"
    assert literal_address("[ipv6:2001:DB8::1]") == "2001:db8::1"
    assert literal_address("[nonsense]") == "" == literal_address("example.org")


def test_only_a_later_attempt_may_end_a_delivery_because_there_is_no_such_domain() -> None:
    for judge in (
        lambda before: nonexistent("example.org", tried_before=before),
        lambda before: unaddressed("example.org", ["a", "b", "c", "d"], tried_before=before),
    ):
        first, later = judge(False), judge(True)
        assert (first.state, first.next_host) == (State.DEFERRED, False)
        assert (later.state, later.next_host) == (State.FAILED, False)
    assert nonexistent("example.org", tried_before=True).status == "5.1.2"
    assert unaddressed("example.org", ["a"], tried_before=True).status == "5.4.4"
    assert "and 1 more" in unaddressed("example.org", ["a", "b", "c", "d"], tried_before=True).words


def test_what_is_about_us_may_take_another_way_and_what_is_final_may_not() -> None:
    ours = [
        not_looked_up("example.org", "why"), not_public("mx.example", ["10.0.0.1"]), out_of_family("mx.example", "ipv6 only"),
        no_time_left("example.org"), site_full("example.org"), left_alone(),
    ]  # fmt: skip
    assert all(one.state is State.DEFERRED and one.next_host for one in ours)
    final = [loops("example.org"), misnamed("-"), nonexistent("example.org", tried_before=True)]
    assert all(one.state is State.FAILED and not one.next_host for one in final)
    assert "direct.allowed_networks" in ours[1].words


def test_who_is_greylisted_or_too_fast_waits_for_that_host() -> None:
    grey = from_reply(Stage.RCPT, Reply(450, "4.7.1", ("Greylisted",)))
    fast = from_reply(Stage.MAIL, Reply(421, "4.7.28", ("slow down",)))
    busy = from_reply(Stage.MAIL, Reply(451, "4.3.0", ("later",)))
    assert [waits_here(one) for one in (grey, fast, busy, site_full("x"))] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("values", [
    {"port": 0}, {"max_hosts": 0}, {"max_addresses": 0}, {"connect_seconds": 0.0}, {"connections": 0},
    {"allowed_networks": ("10.0.0.1/8",)},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(values))):
        DirectConfig(**values)  # type: ignore[arg-type]
