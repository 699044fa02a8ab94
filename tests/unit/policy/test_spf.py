from __future__ import annotations

import pytest

from pillarbox.policy.spf import asking_terms, has_mechanism, merged_spf, spf_records

OURS = "a:mail.example.net"


def test_only_records_of_the_first_version_are_spf() -> None:
    texts = ["v=spf1", "V=SPF1 -all", "v=spf10 -all", "v=spf2.0/pra", "x v=spf1", "v=spf1 a"]
    assert spf_records(texts) == ["v=spf1", "V=SPF1 -all", "v=spf1 a"]


@pytest.mark.parametrize(
    ("records", "merged"),
    [
        ([], "v=spf1 a:mail.example.net ~all"),
        (["v=spf1 -all"], "v=spf1 a:mail.example.net -all"),
        (["v=spf1 mx ?all"], "v=spf1 mx a:mail.example.net ?all"),
        (["v=spf1 mx"], "v=spf1 mx a:mail.example.net ~all"),
        (["v=spf1 +A:Mail.Example.Net -all"], "v=spf1 +A:Mail.Example.Net -all"),
        (
            ["v=spf1 redirect=_spf.example.org"],
            "v=spf1 a:mail.example.net redirect=_spf.example.org",
        ),
        (
            ["v=spf1 include:a.example mx ~all", "v=spf1 mx include:b.example -all"],
            "v=spf1 include:a.example mx include:b.example a:mail.example.net ~all",
        ),
        (
            ["v=spf1 redirect=x.example", "v=spf1 mx -all"],
            "v=spf1 mx a:mail.example.net -all",
        ),
    ],
)
def test_records_become_one_that_says_what_all_of_them_said(
    records: list[str], merged: str
) -> None:
    assert merged_spf(records, OURS) == merged
    assert merged_spf([merged], OURS) == merged


def test_a_mechanism_that_does_not_let_pass_is_not_there() -> None:
    assert has_mechanism("v=spf1 a:mail.example.net -all", OURS)
    assert not has_mechanism("v=spf1 -a:mail.example.net -all", OURS)
    assert not has_mechanism("v=spf1 a:mail.example.net.other.example", OURS)


def test_terms_that_make_receivers_ask_are_counted_and_named() -> None:
    record = (
        "v=spf1 a mx/24 include:A.example ip4:192.0.2.0/24 a:b.example/28 ?exists:%{i}.c.example"
        " exp=d.example redirect=e.example -all"
    )
    assert asking_terms(record) == [
        ("a", ""),
        ("mx", ""),
        ("include", "a.example"),
        ("a", "b.example"),
        ("exists", "%{i}.c.example"),
        ("redirect", "e.example"),
    ]
