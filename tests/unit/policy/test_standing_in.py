"""who stands in for whom at a server, and what a refusal of the sender means"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import Blame, from_reply
from pillarbox.policy.server import SenderRule, Server
from pillarbox.policy.standing_in import (
    default_refused,
    default_sender_for,
    has_default_sender,
    refused_addresses,
    refuses_sender,
)
from pillarbox.protocol.reply import Reply
from pillarbox.terms.ids import ObjectId

PLAIN = Server(ObjectId(b"s"), ObjectId(b"a"), "one", "smtp.example.net")
SHOP = replace(PLAIN, from_address="shop@example.net", from_name="Shop")


def nobody(address: str) -> bool:
    return False


def parts(server: Server, author: str, return_path: str, *refused: str) -> tuple[bool, bool] | None:
    found = default_sender_for(server, [author], return_path, lambda one: one in refused)
    return None if found is None else (found.for_author, found.for_return_path)


def test_without_a_default_sender_nobody_stands_in() -> None:
    assert default_sender_for(PLAIN, ["a@b.test"], "a@b.test", lambda _: True) is None


@pytest.mark.parametrize("address", ["", "no address", "a@b@c"])
def test_what_is_no_address_stands_in_for_nobody(address: str) -> None:
    assert not has_default_sender(replace(PLAIN, from_address=address))


def test_an_accepted_sender_is_kept() -> None:
    assert parts(SHOP, "ann@example.com", "ann@example.com") is None
    listed = replace(SHOP, allowed_senders=("example.com",))
    assert parts(listed, "ann@example.com", "ann@example.com") is None


def test_author_and_return_path_are_judged_by_themselves() -> None:
    listed = replace(SHOP, allowed_senders=("example.com",))
    assert parts(listed, "ann@other.test", "ann@example.com") == (True, False)
    assert parts(listed, "ann@example.com", "ann@other.test") == (False, True)
    assert parts(listed, "ann@other.test", "") == (True, False)


def test_a_refused_address_is_replaced_wherever_it_stands() -> None:
    assert parts(SHOP, "ann@other.test", "ann@other.test", "ann@other.test") == (True, True)


def test_the_rule_always_replaces_all_but_the_null_return_path() -> None:
    always = replace(SHOP, sender_rule=SenderRule.ALWAYS)
    assert parts(always, "ann@example.com", "ann@example.com") == (True, True)
    assert parts(always, "ann@example.com", "") == (True, False)


def test_who_is_the_default_sender_himself_is_not_replaced() -> None:
    listed = replace(SHOP, allowed_senders=("example.com",))
    assert parts(listed, "Shop@example.net", "shop@example.net") is None


def test_a_name_that_no_header_could_hold_is_made_one_line() -> None:
    always = replace(SHOP, sender_rule=SenderRule.ALWAYS, from_name=" The\r\nShop\0 ")
    found = default_sender_for(always, ["a@b.test"], "a@b.test", nobody)
    assert found is not None and found.name == "The Shop"


def test_a_refusal_before_the_content_is_about_the_return_path_and_one_after_it_about_the_author() -> (
    None
):
    at_mail = from_reply(Stage.MAIL, Reply.of(550, "5.7.1", "Sender rejected"))
    at_end = from_reply(Stage.VERDICT, Reply.of(554, "5.2.252", "SendAsDenied"))
    assert refused_addresses(at_mail, ["ann@a.test"], "ann@b.test") == ["ann@b.test"]
    both = refused_addresses(at_mail, ["ann@a.test", "bob@B.test"], "ann@b.test")
    assert both == ["ann@b.test", "bob@B.test"], "of one domain"
    assert refused_addresses(at_mail, ["ann@a.test"], "") == []
    assert refused_addresses(at_end, ["ann@a.test"], "ann@b.test") == ["ann@a.test"]


def test_it_is_the_sender_that_was_refused_only_where_nobody_was_served() -> None:
    refused = from_reply(
        Stage.RCPT, Reply.of(553, "5.7.1", "Sender address rejected: not owned by")
    )
    unknown = from_reply(Stage.RCPT, Reply.of(550, "5.1.1", "no such user"))
    taken = from_reply(Stage.VERDICT, Reply.of(250, "2.0.0", "ok"))
    assert refuses_sender([unknown, refused]) is refused
    assert refuses_sender([taken, refused]) is None
    assert refuses_sender([unknown]) is None


def test_a_refused_default_sender_is_the_operators_trouble_and_nobody_fails_for_it() -> None:
    sender = default_sender_for(replace(SHOP, sender_rule=SenderRule.ALWAYS), [], "a@b", nobody)
    assert sender is not None
    refused = from_reply(Stage.MAIL, Reply.of(550, "5.7.1", "not yours"))
    assert refused.state is State.FAILED
    judged = default_refused(refused, sender)
    assert (judged.state, judged.blame, judged.next_host) == (State.DEFERRED, Blame.SERVER, True)
    assert "shop@example.net" in judged.words


def test_a_refusal_at_mail_that_may_be_about_anything_stays_what_it_is() -> None:
    sender = default_sender_for(replace(SHOP, sender_rule=SenderRule.ALWAYS), [], "a@b", nobody)
    assert sender is not None
    refused = from_reply(Stage.MAIL, Reply.of(555, None, "parameter not recognised"))
    assert default_refused(refused, sender) is refused
