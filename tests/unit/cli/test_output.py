from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from pillarbox.cli.output import (
    Column,
    Screen,
    clean,
    cut,
    format_bytes,
    run_as,
    width_of,
)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Grüße 你好 🙂", "Grüße 你好 🙂"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("a\rb\nc\td", "a�b c d"),
        ("\x9b31m", "�31m"),
        ("user\u202etxt.exe", "user�txt.exe"),
        ("a\u2028b\u2066c", "a�b�c"),
        ("a\u200db\u00adc", "abc"),
        ("no\u00a0break", "no break"),
        ("\udc80", "�"),
        (42, "42"),
    ],
)
def test_what_strangers_wrote_cannot_steer_the_terminal(given: object, shown: str) -> None:
    assert clean(given) == shown


def test_wide_and_combining_characters_are_measured() -> None:
    assert width_of("abc") == 3
    assert width_of("你好") == 4
    assert width_of("e\u0301") == 1


def test_what_is_too_long_is_cut_visibly() -> None:
    assert cut("short", 5) == "short"
    assert cut("too long", 5) == "too …"
    assert cut("msg_0123456789", 9, middle=True) == "msg_…6789"
    assert width_of(cut("你好你好", 5)) <= 5


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1228, "1.2 KB"), (5 << 40, "5.0 TB")]
)
def test_sizes_are_for_people(count: int, words: str) -> None:
    assert format_bytes(count) == words


@pytest.mark.parametrize(
    ("said", "name"), [("", "pillarbox"), ("./do", "./do"), ("rm -rf /;", "pillarbox")]
)
def test_the_program_is_called_as_it_was_started(
    said: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARBOX_RUN_AS", said)
    assert run_as() == name


COLUMNS = [Column("id", middle=True), Column("subject"), Column("n", right=True, fixed=True)]
ROWS = [["msg_0123456789ab", "A subject that is rather long for a narrow terminal", 7]]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_a_table_fits_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, columns)
    Screen(colour=False).table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(width_of(line) <= columns for line in lines)
    assert lines[1].endswith("7"), "what is fixed is not cut"


def test_a_pipe_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(COLUMNS, ROWS)
    assert "for a narrow terminal" in capsys.readouterr().out


def test_wide_loses_nothing_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch, 20)
    Screen(colour=False, wide=True).table(COLUMNS, ROWS)
    assert "for a narrow terminal" in capsys.readouterr().out


def test_a_table_cell_is_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table([Column("a"), Column("b")], [["x\x1b]0;owned\x07", None]])
    assert "\x1b" not in capsys.readouterr().out


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Screen().paint("x", "red") == "x", "a pipe"
    on_a_terminal(monkeypatch, 80)
    monkeypatch.setenv("TERM", "xterm")
    assert Screen().paint("x", "red") == "\x1b[31mx\x1b[0m"
    assert Screen(colour=False).paint("x", "red") == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert Screen().paint("x", "red") == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen().paint("x", "red") == "x"
    Screen(colour=True).table([Column("mode")], [["live"]], {"live": "green"})
    assert "\x1b[32mlive\x1b[0m" in capsys.readouterr().out


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().fields([("Name", "x"), ("Longer name", "y\x07"), ("Nothing", ""), ("None", None)])
    assert capsys.readouterr().out == "  Name          x\n  Longer name   y�\n"


def test_zero_is_a_value_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().fields([("Priority", 0)])
    assert capsys.readouterr().out == "  Priority   0\n"


def test_a_document_is_json_whatever_the_terminal_speaks(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    Screen().document({"subject": "Grüße\x1b"})
    assert json.loads(capsysbinary.readouterr().out) == {"subject": "Grüße\x1b"}


def test_a_terminal_without_unicode_still_gets_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    Screen().say("Grüße")
    Screen().document({"a": "ü"})
    stream.seek(0)
    assert stream.read() == 'Gr??e\n{\n  "a": "\\u00fc"\n}\n'


def test_a_line_is_cut_to_the_terminal_and_its_paint_ends_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = "\x1b[32m+\x1b[0m " + "x" * 200
    assert Screen().fit(long) == long, "a pipe loses nothing"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda _: os.terminal_size((40, 24)))
    assert Screen(wide=True).fit(long) == long
    assert Screen().fit("short") == "short"
    fitted = Screen().fit(long)
    assert fitted.endswith("…\x1b[0m")
    assert len(fitted) == 40 + 3 * len("\x1b[0m") + 1
