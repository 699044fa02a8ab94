from __future__ import annotations

import json

from pillarbox.cli.errors import Exit


def test_the_only_account_need_not_be_named(do) -> None:
    said = do("account", "suspend", "--contact", "ops@example.com")
    assert said.code == Exit.DONE
    assert "default may not send. Its clients are told to contact ops@example.com." in said.out
    assert "account permit default" in said.out
    shown = do("account", "show").out
    assert "May send   no" in shown and "ops@example.com" in shown
    assert do("account", "permit").out == "default may send.\n"
    assert json.loads(do("account", "show", "default", "--json").out)["may_send"] is True


def test_accounts_are_listed_with_what_they_may(do) -> None:
    do("account", "suspend", "default")
    said = do("account", "list").out.splitlines()
    assert said[0].split() == ["NAME", "MAY", "SEND", "CONTACT"]
    assert said[1].split() == ["default", "no"]
    assert do("accounts", "list", "-q").out == "default\n"


def test_a_suspended_account_is_told_whom_to_ask_even_where_nobody_said_so(do) -> None:
    assert "contact the operator of this service." in do("account", "suspend").out


def test_of_several_accounts_one_has_to_be_named(do, answering) -> None:
    answering({"items": [{"name": "default"}, {"name": "other"}], "next": None})
    said = do("account", "permit")
    assert said.code == Exit.USAGE and "default, other" in said.err


def test_an_account_nobody_knows_is_not_found(do) -> None:
    assert do("account", "show", "nobody").code == Exit.NOT_FOUND


def test_an_account_is_held_to_its_domains_and_let_go(do) -> None:
    assert "any domain" in do("account", "set", "--contact", "ops@example.com").out
    said = do("account", "set", "--enforce-domains").out
    assert said == "default takes mail of authors at its sending domains only.\n"
    assert "of its sending domains" in do("account", "show").out
    assert (
        do("account", "set", "--any-domain").out == "default takes mail of authors at any domain.\n"
    )
