"""whose a domain is, who signs for its authors, and who may not write in its name"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.directory import Account, App, Mode
from pillarbox.policy.sending_domain import (
    DomainNotConfigured,
    DomainOfAnother,
    Proved,
    SendingDomain,
    Signing,
    folded,
    without_hosts_of_others,
)
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.terms.ids import ObjectId

ANN = Account(ObjectId(b"account-ann."), "ann")
BEN = Account(ObjectId(b"account-ben."), "ben")
APP = App(ObjectId(b"app-one....."), ANN.id, "shop")
LOGIN = Submitter(SubmitterKind.CREDENTIAL, ObjectId(b"login-one..."), "shop", ANN, APP, Mode.LIVE)
STRICT = replace(LOGIN, account=replace(ANN, enforces_domains=True))
OF_BEN = replace(LOGIN, account=BEN)
PROVED = Proved(
    {
        "example.com": Signing("example.com", ANN.id, True, ("example.com/s1", "example.com/s2")),
        "ben.example.com": Signing("ben.example.com", BEN.id, True, ("ben.example.com/s",)),
        "alone.example": Signing("alone.example", ANN.id, False, ("alone.example/s",)),
        "xn--kln-sna.example": Signing("xn--kln-sna.example", ANN.id, True, ("k/s",)),
    }
)


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("news.example.com", "example.com"),
        ("a.b.c.example.com", "example.com"),
        ("köln.example", "xn--kln-sna.example"),
        ("alone.example", "alone.example"),
        ("below.alone.example", None),
        ("badexample.com", None),
        ("example.org", None),
        ("com", None),
        ("", None),
        ("[192.0.2.1]", None),
        ("ben.example.com", None),
        ("below.ben.example.com", None),
    ],
)
def test_the_nearest_proved_domain_of_the_account_signs(domain: str, name: str | None) -> None:
    found = PROVED.signing_for(ANN.id, domain)
    assert (None if found is None else found.name) == name


def test_keys_sign_for_their_own_account_alone() -> None:
    assert PROVED.signing_for(BEN.id, "example.com") is None
    found = PROVED.signing_for(BEN.id, "below.ben.example.com")
    assert found is not None and found.key_ids == ("ben.example.com/s",)


@pytest.mark.parametrize(
    ("authors", "named"),
    [
        (["ann@example.org"], "example.org"),
        (["ann@example.com", "ann@example.org"], "example.org"),
        (["ann@ben.example.com"], "ben.example.com"),
        (["ann@below.alone.example"], "below.alone.example"),
        (["ann@[192.0.2.1]"], "192.0.2.1"),
        (["ann"], "ann in the From field"),
        ([""], "no usable From field"),
        ([], "no usable From field"),
    ],
)
def test_a87_where_it_is_enforced_every_author_is_at_a_sending_domain(
    authors: list[str], named: str
) -> None:
    refusal = PROVED.refusal(STRICT, authors)
    assert isinstance(refusal, DomainNotConfigured) and named in refusal.sentence
    assert refusal.reply.code == 550 and refusal.http_status == 403


def test_a87_the_domains_of_the_account_are_taken() -> None:
    assert PROVED.refusal(STRICT, ["a@example.com", "b@x.example.com", "c@alone.example"]) is None
    assert Proved().refusal(STRICT, ["a@example.com"]) is not None


def test_a87_a_domain_that_is_only_not_proved_yet_is_said_to_be_that() -> None:
    proved = Proved(
        unproved={
            (ANN.id, "example.org"): True,
            (ANN.id, "alone.example"): False,
            (BEN.id, "ben.example"): True,
        }
    )

    def said(domain: str) -> str:
        refusal = proved.refusal(STRICT, [f"ann@{domain}"])
        assert isinstance(refusal, DomainNotConfigured) and refusal.fix is not None
        return f"{refusal.sentence} {refusal.fix}"

    for domain in ("example.org", "Example.ORG.", "news.example.org"):
        assert "has added example.org, and has not proved it" in said(domain)
        assert said(domain).endswith("pillarbox domain check example.org")
    assert "domain check alone.example" in said("alone.example")
    for domain in ("below.alone.example", "ben.example", "example.net", "org"):
        assert said(domain).endswith(f"pillarbox domain add {domain}")


def test_without_enforcement_any_author_is_taken_but_those_of_others() -> None:
    assert PROVED.refusal(LOGIN, ["ann@example.org"]) is None
    assert PROVED.refusal(LOGIN, []) is None
    refusal = PROVED.refusal(OF_BEN, ["eve@news.example.com"])
    assert isinstance(refusal, DomainOfAnother) and "news.example.com" in refusal.sentence
    assert Proved().refusal(OF_BEN, ["eve@example.com"]) is None


def test_what_a_mail_server_passes_on_was_written_by_others() -> None:
    assert PROVED.refusal(replace(OF_BEN, relays=True), ["ann@example.com"]) is None
    assert PROVED.refusal(replace(STRICT, relays=True), ["ann@example.org"]) is not None


def test_notices_of_the_system_are_bound_by_nothing() -> None:
    system = replace(STRICT, kind=SubmitterKind.SYSTEM)
    assert PROVED.refusal(system, ["mailer-daemon@mail.example.org"]) is None


def test_a_long_domain_is_not_told_in_full() -> None:
    refusal = PROVED.refusal(STRICT, ["a@" + "x" * 5000 + ".example"])
    assert refusal is not None and len(refusal.sentence) < 200


def test_the_proof_is_a_word_nobody_else_has() -> None:
    domain = SendingDomain(ObjectId(b"d"), ANN.id, "example.com", "c0ffee")
    assert domain.proof == "pillarbox-domain=c0ffee"
    assert folded("No Domain!") == "no domain!"


def test_nobody_tracks_under_the_name_of_another_account() -> None:
    def host_of(account: Account, host: str) -> str:
        mine = Signing("shop.example", account.id, True, tracking_host=host)
        return without_hosts_of_others({**PROVED.by_name, "shop.example": mine})[
            "shop.example"
        ].tracking_host

    for host in ("clicks.shop.example", "clicks.elsewhere.example", "clicks.ben.example.com"):
        assert host_of(BEN, host) == host
    for host in ("example.com", "clicks.example.com", "clicks.xn--kln-sna.example"):
        assert host_of(BEN, host) == ""
    assert host_of(ANN, "clicks.ben.example.com") == ""
    assert host_of(BEN, "clicks.alone.example") == ""
