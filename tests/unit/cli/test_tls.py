from __future__ import annotations

import json

from pillarbox.cli.errors import Exit

ONE = {
    "domain": "example.com", "policy": "sts", "result": "certificate-expired", "ok": False,
    "host": "mx.example.com\x1b[2J", "address": "192.0.2.1", "sessions": 2,
}  # fmt: skip


HOST = {
    "host": "mx.example.com", "demand": "dane", "refused": False, "words": "by TLS (DANE)",
    "may_be_clear": False, "testing": False, "tlsa": [], "reported": False,
}  # fmt: skip


def test_what_is_asked_of_each_host_is_a_sentence(do, answering) -> None:
    refused = {**HOST, "refused": True, "words": "it is not listed", "host": "mx2\x1b.example.com"}
    canned = answering({"domain": "example.com", "items": [HOST, refused], "next": None})
    said = do("tls", "policy", "example.com").out
    assert said.splitlines()[:2] == ["mx.example.com", "  Gets mail by TLS (DANE)."]
    assert said.splitlines()[3] == "  Gets no mail: it is not listed." and "\x1b" not in said
    assert canned.asked[0][1].endswith("/tls/policies/example.com")


def test_a_domain_without_hosts_has_none(do, answering) -> None:
    answering({"domain": "example.com", "items": [], "next": None})
    assert do("tls", "policy", "example.com").out == "example.com has no MX hosts.\n"


def test_without_sessions_there_is_a_line_that_says_of_whom(do) -> None:
    said = do("tls", "report", "--day", "2026-11-05", "--domain", "example.com")
    assert said.code == Exit.DONE
    assert said.out == (
        "No sessions with example.com were counted on 2026-11-05. "
        "Only those of domains that ask for it are.\n"
    )


def test_sessions_stand_in_a_table(do, answering) -> None:
    answering({"day": "2026-11-05", "items": [ONE], "next": None})
    title, row = do("tls", "report").out.splitlines()
    assert title.split() == ["DOMAIN", "POLICY", "HOST", "RESULT", "SESSIONS"]
    assert row.split()[0] == "example.com" and row.split()[-2:] == ["certificate-expired", "2"]
    assert "\x1b" not in row


def test_day_and_domain_are_asked_for(do, answering) -> None:
    canned = answering({"day": "2026-11-05", "items": [], "next": None})
    do("tls", "report", "--day", "2026-11-05", "--domain", "example.com")
    ((method, path, _),) = canned.asked
    assert method == "GET"
    assert path.endswith("/tls/report?day=2026-11-05&domain=example.com")


def test_what_is_no_date_is_said_to_be_none(do) -> None:
    said = do("tls", "report", "--day", "tomorrow")
    assert said.code != Exit.DONE and "2026-11-05" in said.err


def test_a_program_gets_the_same_as_json(do, answering) -> None:
    document = {"day": "2026-11-05", "items": [ONE], "next": None}
    answering(document)
    assert json.loads(do("tls", "report", "--json").out) == document
