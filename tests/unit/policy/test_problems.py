from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.problems import Problem, ProblemKind, shown, words_for
from pillarbox.terms.ids import new_object_id

FAILED = Problem(ProblemKind.WRONG_PASSWORD, "192.0.2.7", 587, "web")


@pytest.mark.parametrize("kind", ProblemKind)
def test_every_problem_says_what_happened_and_what_to_change(kind: ProblemKind):
    words = words_for(Problem(kind, "192.0.2.7", 465, "web", new_object_id(), "CRAM-MD5"))
    assert words.what.endswith(".")
    assert words.fix.endswith(".")
    assert "{" not in words.what + words.fix


def test_the_reference_tells_nobody_whether_a_user_name_exists():
    references = {
        Problem(kind, "192.0.2.7", 587, "web", credential).reference
        for kind in ProblemKind
        for credential in (None, new_object_id())
    }
    assert len(references) == 1


def test_other_clients_and_user_names_have_other_references():
    others = [Problem(FAILED.kind, "192.0.2.8", 587, "web"), Problem(FAILED.kind, "192.0.2.7", 587)]
    assert len({FAILED.reference, *(other.reference for other in others)}) == 3


def test_what_fails_again_is_counted_as_the_same_and_another_reason_is_not():
    assert Problem(FAILED.kind, "192.0.2.7", 587, "web").key == FAILED.key
    assert Problem(ProblemKind.DISABLED, "192.0.2.7", 587, "web").key != FAILED.key


@given(st.text())
def test_what_a_stranger_says_is_shown_short_and_cannot_steer_a_terminal(text: str):
    kept = shown(text)
    assert len(kept) <= 103
    assert kept.isprintable()


@given(st.text(), st.text())
def test_words_with_braces_are_only_words(username: str, detail: str):
    problem = Problem(ProblemKind.OTHER_AUTHORIZATION, "::1", 587, username, None, detail)
    assert (detail.removesuffix(".") or "unknown") in words_for(problem).what
    assert len(problem.reference) == 8


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (ProblemKind.WRONG_PASSWORD, "pillarbox credential rotate web "),
        (ProblemKind.DISABLED, "pillarbox credential enable web "),
        (ProblemKind.EXPIRED, "pillarbox credential set --expires 90d web "),
        (
            ProblemKind.ADDRESS_NOT_ALLOWED,
            "pillarbox credential set --allow-address 192.0.2.7 web ",
        ),
    ],
)
def test_a_command_that_helps_can_be_copied_as_it_stands(kind: ProblemKind, command: str):
    assert command in words_for(Problem(kind, "192.0.2.7", 587, "web", new_object_id())).fix


def test_what_is_too_long_to_be_shown_is_cut_where_it_can_be_seen():
    assert shown("x" * 100) == "x" * 100
    assert shown("x" * 101) == "x" * 100 + "..."
    assert shown("a\x1b\u202eb") == "a??b"
