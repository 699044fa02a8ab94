from __future__ import annotations

import pytest

from pillarbox.policy.mta_sts import (
    MAX_AGE_SECONDS,
    InvalidPolicy,
    policy_name,
    policy_url,
    read_policy,
    read_record,
)

USUAL = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


def test_names_are_those_of_the_domain() -> None:
    assert policy_name("example.com") == "_mta-sts.example.com"
    assert policy_url("example.com") == "https://mta-sts.example.com/.well-known/mta-sts.txt"


@pytest.mark.parametrize(
    ("texts", "identity"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ; x=y; id = a1 ; z=w"], "a1"),
        (["spf of somebody", "v=STSv1; id=7;"], "7"),
        ([], None),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
        (["v=STSv2; id=1;"], None),
        (["v=STSv10; id=1;"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=;"], None),
        (["v=STSv1; id=has space;"], None),
        (["v=STSv1; id=" + "x" * 33], None),
        (["id=1; v=STSv1"], None),
    ],
)
def test_the_record_gives_the_id_or_there_is_no_policy(
    texts: list[str], identity: str | None
) -> None:
    assert read_record(texts) == identity


def test_a_policy_says_mode_age_and_hosts() -> None:
    policy = read_policy(USUAL)
    assert (policy.mode, policy.max_age_seconds) == ("enforce", 604_800)
    assert policy.mx == ("mx1.example.com", "*.example.net")
    assert read_policy(USUAL.replace("\r\n", "\n")) == policy
    assert read_policy("\n".join(policy.lines)) == policy


def test_unknown_keys_are_passed_over_and_the_first_of_two_counts() -> None:
    text = USUAL + "mode: none\r\nmax_age: 1\r\nfuture: of the key: value kind\r\n"
    assert read_policy(text) == read_policy(USUAL)


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("mx1.example.com", True),
        ("MX1.Example.COM.", True),
        ("mx2.example.com", False),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("a.example.net.evil.test", False),
        ("net", False),
        ("", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, listed: bool) -> None:
    assert read_policy(USUAL).lists(host) is listed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode: enforce\nmx: a.test\nmax_age: 1\n",
        USUAL.replace("STSv1", "STSv2"),
        USUAL.replace("enforce", "strict"),
        USUAL.replace("604800", "-1"),
        USUAL.replace("604800", "a week"),
        USUAL.replace("604800", "9" * 40),
        USUAL.replace("max_age", "maxage"),
        USUAL.replace("mx:", "my:"),
        USUAL.replace("mx1.example.com", "mx1 example com"),
        USUAL.replace("mx1.example.com", "*.*.example.com"),
        USUAL.replace("mx1.example.com", ""),
        USUAL + "<html>\n",
        "version: STSv1\nmode: enforce\nmax_age: 1\n"
        + "".join(f"mx: m{n}.test\n" for n in range(300)),
    ],
)
def test_a_file_that_means_nothing_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidPolicy, match="^it|^one of its"):
        read_policy(text)


def test_a_policy_of_none_needs_no_hosts() -> None:
    assert read_policy("version: STSv1\nmode: none\nmax_age: 86400\n").mx == ()


def test_a_policy_holds_for_a_year_at_most() -> None:
    text = USUAL.replace("604800", "9999999999")
    assert read_policy(text).max_age_seconds == MAX_AGE_SECONDS
