from __future__ import annotations

import json

import pytest

from pillarbox.cli.errors import (
    EXIT_WORDS,
    ApiProblem,
    Exit,
    NotConfirmed,
    WrongUsage,
    exit_code_of,
    print_error,
)
from pillarbox.settings import InvalidSettings, Mistake
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.terms.errors import PillarboxError


def printed(error: PillarboxError, capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    print_error(error, **how)
    captured = capsys.readouterr()
    assert captured.out == "", "errors are talk, not results"
    return captured.err


def test_an_error_says_what_why_how_to_mend_it_and_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = PillarboxError(
        "cannot start, port 25 is not allowed for this user",
        detail="you run as uid 1000",
        fix="pillarbox serve --smtp-port 2525\nor let systemd open it",
        code="port_not_permitted",
    )
    assert printed(error, capsys) == (
        "error: cannot start, port 25 is not allowed for this user\n"
        "  why:  you run as uid 1000\n"
        "  fix:  pillarbox serve --smtp-port 2525\n"
        "        or let systemd open it\n"
        "  code: port_not_permitted\n"
    )


def test_without_a_fix_of_its_own_an_error_has_that_of_the_catalogue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert CATALOGUE["data_dir_locked"].fix in printed(
        PillarboxError("locked", code="data_dir_locked"), capsys
    )


def test_commands_in_advice_are_written_as_they_are_typed_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARBOX_RUN_AS", "./do")
    assert "./do app add shop" in printed(PillarboxError("x", fix="pillarbox app add shop"), capsys)


def test_every_mistake_in_the_settings_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = InvalidSettings([Mistake("a.toml:1", "is wrong"), Mistake("a.toml:9", "is worse")])
    text = printed(error, capsys)
    assert "error: the settings have 2 mistakes\n  a.toml:1: is wrong\n  a.toml:9: is worse" in text


def test_a_single_mistake_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(InvalidSettings([Mistake("a.toml:1", "is wrong")]), capsys)
    assert text.count("a.toml:1") == 1


PROBLEM = {
    "title": "Invalid value",
    "status": 422,
    "detail": "host: is missing (and 1 more)",
    "code": "invalid_value",
    "fix": "Name a host.",
    "request_id": "req_1",
    "errors": [
        {"pointer": "/host", "code": "invalid_value", "detail": "is missing"},
        {"pointer": "/to/0", "code": "address_invalid", "detail": "no address"},
        "odd",
    ],
}


def test_what_the_server_refused_reads_like_any_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(ApiProblem(422, PROBLEM), capsys) == (
        "error: host: is missing (and 1 more)\n"
        "  host: is missing\n"
        "  to.0: no address\n"
        "  odd\n"
        "  fix:  Name a host.\n"
        "  code: invalid_value\n"
        "  ref:  req_1\n"
    )


def test_for_programs_an_error_is_the_problem_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(ApiProblem(422, PROBLEM), capsys, as_json=True)) == PROBLEM
    ours = InvalidSettings([Mistake("a.toml:1", "is wrong", "config_unknown_key")])
    document = json.loads(printed(ours, capsys, as_json=True))
    assert document["code"] == "config_unknown_key"
    assert document["errors"] == [
        {"where": "a.toml:1", "detail": "is wrong", "code": "config_unknown_key"}
    ]


def test_a_server_cannot_steer_the_terminal_with_its_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(ApiProblem(500, {"detail": "\x1b[2Jgone", "request_id": "\x07"}), capsys)
    assert "\x1b" not in text and "\x07" not in text


def test_an_answer_that_explains_nothing_still_has_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "error: the server answered 502" in printed(ApiProblem(502, {}), capsys)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PillarboxError("x", code="not_found"), Exit.NOT_FOUND),
        (PillarboxError("x", code="auth_failed"), Exit.NOT_PERMITTED),
        (PillarboxError("x", code="already_exists"), Exit.CONFLICT),
        (PillarboxError("x", code="config_invalid"), Exit.FOUND_PROBLEMS),
        (PillarboxError("x", code="busy_try_later"), Exit.UNREACHABLE),
        (PillarboxError("x", code="unheard_of"), Exit.FAILED),
        (ApiProblem(404, {"code": "unheard_of"}), Exit.NOT_FOUND),
        (ApiProblem(418, {"code": "unheard_of"}), Exit.FAILED),
        (WrongUsage("x"), Exit.USAGE),
        (NotConfirmed(), Exit.CONFLICT),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ValueError(), Exit.FAILED),
    ],
)
def test_the_exit_code_says_what_kind_of_failure_it_was(error: BaseException, code: Exit) -> None:
    assert exit_code_of(error) == code


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_WORDS) == set(Exit)
    assert {problem.exit_code for problem in CATALOGUE.values()} <= set(Exit)
