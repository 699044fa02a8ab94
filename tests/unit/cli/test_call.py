from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pillarbox.cli.call import Call
from pillarbox.cli.client import Where
from pillarbox.cli.errors import NotConfirmed, WrongUsage
from pillarbox.cli.output import Screen
from pillarbox.terms.secret import Secret


@pytest.fixture
def call() -> Call:
    return Call(Where())


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(Screen, "may_ask", True)
    return monkeypatch


def test_a_result_is_a_document_or_ids_or_words(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"items": [{"name": "a\x1b"}, {"name": "b"}], "next": None}
    Call(Where(), as_json=True).result(document, "name", lambda: None)
    assert '"name": "b"' in capsys.readouterr().out
    Call(Where(), quiet=True).result(document, "name", lambda: None)
    assert capsys.readouterr().out == "a�\nb\n"
    Call(Where(), quiet=True).result({"name": "c"}, "name", lambda: None)
    assert capsys.readouterr().out == "c\n"
    Call(Where()).result(document, "name", lambda: print("words"))
    assert capsys.readouterr().out == "words\n"


def test_talk_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Call(Where(), as_json=True).talk("x")
    Call(Where(), quiet=True).talk("x")
    Call(Where()).talk("y")
    assert capsys.readouterr().out == "y\n"


def test_nobody_is_asked_where_nobody_is(call: Call) -> None:
    with pytest.raises(WrongUsage) as caught:
        call.ask_word("it will be gone", "shop", answered=False, flag="--confirm shop")
    assert caught.value.fix == "add --confirm shop"
    with pytest.raises(WrongUsage) as caught:
        call.ask_yes("Go on?", answered=False)
    assert caught.value.fix == "add --yes"
    with pytest.raises(WrongUsage, match="host is missing"):
        call.ask_text("Host", "--host HOST")
    with pytest.raises(WrongUsage, match="password is missing"):
        call.secret("Password", None)
    assert call.secret("Password", None, needed=False) is None


def test_what_was_answered_before_is_not_asked(call: Call) -> None:
    call.ask_word("x", "live", answered=True, flag="--yes")
    call.ask_yes("x", answered=True)


@pytest.mark.parametrize("typed", ["liv\n", "\n", "yes\n"])
def test_only_the_word_itself_confirms(typed: str, call: Call, typing: pytest.MonkeyPatch) -> None:
    typing.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(NotConfirmed):
        call.ask_word("it goes live", "live", answered=False, flag="--yes")


def test_the_word_confirms(
    call: Call, typing: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typing.setattr(sys, "stdin", io.StringIO("live\n"))
    call.ask_word("first-app will now send real mail", "live", answered=False, flag="--yes")
    captured = capsys.readouterr()
    assert "first-app will now send real mail. Type live to confirm:" in captured.err
    assert captured.out == "", "questions are no results"


@pytest.mark.parametrize(("typed", "goes_on"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_no_answer_means_no(
    typed: str, goes_on: bool, call: Call, typing: pytest.MonkeyPatch
) -> None:
    typing.setattr(sys, "stdin", io.StringIO(typed))
    if goes_on:
        call.ask_yes("Go on?", answered=False)
    else:
        with pytest.raises(NotConfirmed):
            call.ask_yes("Go on?", answered=False)


def test_a_value_that_was_left_out_can_be_typed(call: Call, typing: pytest.MonkeyPatch) -> None:
    typing.setattr(sys, "stdin", io.StringIO(" smtp.example.com \n"))
    assert call.ask_text("Host", "--host HOST") == "smtp.example.com"


def test_a_password_is_read_from_a_file_or_from_standard_input(
    call: Call, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "p").write_text(" two words \n")
    assert call.secret("Password", "p") == Secret(" two words "), "blanks count"
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\nrest"))
    assert call.secret("Password", "-") == Secret("s3cret")


def test_a_password_file_that_is_empty_or_missing_is_refused(call: Call, directory: Path) -> None:
    (directory / "p").write_text("\n")
    with pytest.raises(WrongUsage, match="p holds no password"):
        call.secret("Password", "p")
    with pytest.raises(WrongUsage, match="cannot read gone"):
        call.secret("Password", "gone")


def test_a_password_is_typed_unseen(call: Call, typing: pytest.MonkeyPatch) -> None:
    typing.setattr("click.termui.hidden_prompt_func", lambda _: "s3cret")
    assert call.secret("Password", None) == Secret("s3cret")
