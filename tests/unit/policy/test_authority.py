"""who may speak for which author and return path"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.authority import (
    is_allowed,
    may_submit,
    may_use_author,
    parse_pattern,
    too_large,
)
from pillarbox.policy.directory import Account, App, Mode
from pillarbox.policy.errors import (
    AppInactive,
    InvalidPattern,
    MayNotSend,
    SenderNotAllowed,
    SendingOff,
)
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.terms.ids import ObjectId

ACCOUNT = Account(ObjectId(b"acc"), "main", contact="post@example.com")
APP = App(ObjectId(b"app"), ACCOUNT.id, "shop")
LOGIN = Submitter(
    SubmitterKind.CREDENTIAL, ObjectId(b"crd"), "shop-web", ACCOUNT, APP, Mode.SANDBOX
)


def with_lists(app: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> Submitter:
    return replace(LOGIN, app=replace(APP, allowed_senders=app), allowed_senders=own)


def test_without_a_list_everybody_may_be_the_author() -> None:
    assert may_use_author(LOGIN, "anybody@else.test", "bounce@else.test") is None


@pytest.mark.parametrize(
    ("pattern", "address", "covered"),
    [
        ("ann@example.com", "ann@example.com", True),
        ("ann@example.com", "Ann@Example.COM", True),
        ("ann@example.com", "bob@example.com", False),
        ("ann@example.com", "ann@sub.example.com", False),
        ("*@example.com", "bob@example.com", True),
        ("*@example.com", "bob@sub.example.com", False),
        ("example.com", "bob@example.com", True),
        ("example.com", "bob@notexample.com", False),
        ("*.example.com", "bob@sub.example.com", True),
        ("*.example.com", "bob@deep.sub.example.com", True),
        ("*.example.com", "bob@example.com", False),
        ("*.example.com", "bob@notexample.com", False),
        ("example.com", "bob@example.com.", True),
        ("example.com", '"bob@other.test"@example.com', True),
        ("other.test", '"bob@other.test"@example.com', False),
        ("xn--bcher-kva.example", "a@bücher.example", True),
        ("example.com", "example.com", False),
        ("example.com", "@example.com", False),
        ("example.com", "bob@example.com@evil.test", False),
        ("example.com", "bob@[192.0.2.1]", False),
        ("", "bob@example.com", False),
    ],
)
def test_a_pattern_covers_exactly_what_it_says(pattern: str, address: str, covered: bool) -> None:
    assert is_allowed([pattern], address) is covered


def test_both_author_and_return_path_must_be_allowed() -> None:
    login = with_lists(own=("example.com",))
    assert may_use_author(login, "a@example.com", "b@example.com") is None
    from_field = may_use_author(login, "a@other.test", "b@example.com")
    assert isinstance(from_field, SenderNotAllowed)
    assert "a@other.test in the From field" in from_field.sentence
    path = may_use_author(login, "a@example.com", "b@other.test")
    assert isinstance(path, SenderNotAllowed)
    assert "b@other.test in the return path" in path.sentence
    assert path.reply.code == 550
    assert path.reply.status == "5.7.1"


def test_a_login_may_be_stricter_than_its_app_but_never_looser() -> None:
    login = with_lists(app=("example.com",), own=("ann@example.com", "other.test"))
    assert may_use_author(login, "ann@example.com", "") is None
    assert may_use_author(login, "bob@example.com", "") is not None
    assert may_use_author(login, "x@other.test", "") is not None


def test_the_null_return_path_is_always_permitted() -> None:
    assert may_use_author(with_lists(own=("example.com",)), "a@example.com", "") is None
    assert may_use_author(with_lists(own=("example.com",)), None, "") is None


def test_before_the_content_came_only_the_return_path_is_judged() -> None:
    login = with_lists(own=("example.com",))
    assert may_use_author(login, None, "a@example.com") is None
    assert may_use_author(login, None, "a@other.test") is not None


def test_every_author_of_several_must_be_allowed() -> None:
    login = with_lists(own=("example.com",))
    assert may_use_author(login, ["a@example.com", "b@example.com"], "") is None
    refusal = may_use_author(login, ["a@example.com", "b@other.test"], "")
    assert refusal is not None
    assert refusal.sentence.startswith("b@other.test")


@pytest.mark.parametrize("author", ["", [], [""]])
def test_a_message_without_author_cannot_slip_past_a_list(author: str | list[str]) -> None:
    login = with_lists(own=("example.com",))
    assert isinstance(may_use_author(login, author, ""), SenderNotAllowed)
    assert may_use_author(LOGIN, author, "") is None


def test_the_system_is_bound_by_no_list() -> None:
    system = replace(with_lists(app=("example.com",)), kind=SubmitterKind.SYSTEM)
    assert may_use_author(system, "postmaster@other.test", "x@other.test") is None


def test_a_refusal_quotes_a_long_address_only_in_part() -> None:
    refusal = may_use_author(with_lists(own=("example.com",)), "x" * 900 + "@other.test", "")
    assert refusal is not None
    assert len(refusal.sentence) < 200


def test_an_account_without_permission_is_told_whom_to_ask() -> None:
    refused = may_submit(replace(LOGIN, account=replace(ACCOUNT, may_send=False)))
    assert isinstance(refused, MayNotSend)
    assert "no permission to send email; contact post@example.com" in refused.sentence
    nobody = replace(ACCOUNT, may_send=False, contact="")
    unknown = may_submit(replace(LOGIN, account=nobody))
    assert unknown is not None
    assert "contact the operator" in unknown.sentence


def test_an_inactive_app_and_a_mode_of_off_refuse_and_everything_else_is_taken() -> None:
    assert may_submit(LOGIN) is None
    assert isinstance(may_submit(replace(LOGIN, app=replace(APP, active=False))), AppInactive)
    assert isinstance(may_submit(replace(LOGIN, mode=Mode.OFF)), SendingOff)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (" Ann@Example.COM ", "Ann@example.com"),
        ("*@Example.com", "example.com"),
        ("Example.COM", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_pattern_is_stored_in_the_form_in_which_it_is_compared(text: str, stored: str) -> None:
    assert parse_pattern(text) == stored
    assert parse_pattern(stored) == stored


@pytest.mark.parametrize(
    "text", ["", "*", "a*@example.com", "*@*.example.com", "@example.com", "a@", "*.", "a b"]
)
def test_what_is_no_pattern_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidPattern) as caught:
        parse_pattern(text)
    assert caught.value.fix is not None
    assert "*.example.com" in caught.value.fix


@given(st.text(max_size=60))
def test_no_text_whatever_is_allowed_by_a_list_it_does_not_match(text: str) -> None:
    assert not is_allowed(("ann@example.com",), text) or text.lower().startswith("ann@")


@pytest.mark.parametrize(
    ("size", "most", "words"),
    [
        (31 << 20, 25 << 20, "The message is 31.0 MB, the limit of this login is 25.0 MB."),
        (1001, 1000, "The message has 1001 octets, the limit of this login is 1000."),
        (None, 25 << 20, "The message is longer than 25.0 MB, the limit of this login."),
    ],
)
def test_a_message_that_is_too_large_is_told_by_how_much(
    size: int | None, most: int, words: str
) -> None:
    refusal = too_large(size, most)
    assert refusal.sentence == words
    assert (refusal.reply.code, refusal.reply.status) == (552, "5.3.4")
