from __future__ import annotations

import json

import pytest

from pillarbox.cli.errors import Exit


@pytest.fixture
def servers(do) -> None:
    for name in ("usual", "special"):
        assert do("server", "add", name, "--host", f"{name}.example.com").code == Exit.DONE


def test_without_rules_the_next_step_is_shown(do) -> None:
    said = do("route", "list").out
    assert "first-app has no rules: all its mail takes its order." in said
    assert "route add SERVER --domain DOMAIN" in said


def test_rules_are_added_listed_and_removed(do, servers) -> None:
    do("route", "add", "special", "--domain", "example.org")
    said = do("route", "add", "usual", "--sender", "ann@shop.example", "--at", "1").out
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["1", "ann@shop.example", "anywhere", "usual"],
        ["2", "anybody", "example.org", "special"],
    ]
    assert do("route", "list", "-q").out.split() == ["1", "2"]
    assert do("route", "remove", "1").out == "Removed rule 1.\n"
    items = json.loads(do("route", "list", "--json").out)["items"]
    assert [each["server_name"] for each in items] == ["special"]
    assert do("route", "remove", "7").code == Exit.NOT_FOUND


def test_a_rule_without_anything_to_match_is_refused(do, servers) -> None:
    done = do("route", "add", "special")
    assert done.code == Exit.USAGE
    assert "--domain DOMAIN, --sender ADDRESS or both" in done.err


def test_it_is_told_where_mail_would_go(do, servers) -> None:
    do("route", "add", "special", "--domain", "example.org")
    said = do("route", "test", "--to", "you@example.org").out
    assert "Rule 1 of first-app sends it by special only: to example.org." in said
    assert "  left out    usual is left out" in said and "special is tried first" in said
    other = json.loads(do("route", "test", "--to", "you@example.net", "--json").out)
    assert other["rule"] is None
    assert do("route", "test").code == Exit.USAGE
