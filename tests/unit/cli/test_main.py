from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from pillarbox import __version__
from pillarbox.cli import main
from pillarbox.cli.errors import Exit
from pillarbox.cli.main import COMMANDS, cli, run
from pillarbox.terms.errors import PillarboxError

HEAVY = ("starlette", "uvicorn", "apsw", "cryptography", "asyncio", "ssl", "msgspec", "structlog")


def in_a_fresh_process(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def test_help_loads_nothing_that_is_slow_to_load() -> None:
    said = in_a_fresh_process(
        "import sys\nfrom pillarbox.cli.main import run\nrun(['--help'])\n"
        f"print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert "LOADED []" in said


def test_help_takes_next_to_no_cpu() -> None:
    said = in_a_fresh_process(
        "import time\nfrom pillarbox.cli.main import run\nrun(['--help'])\n"
        "print('SECONDS', time.process_time())"
    )
    # A tenth of a second at most where it was measured; the factor of five is for busy machines.
    assert float(said.rpartition("SECONDS ")[2]) < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "Examples:\n  pillarbox " in said


def test_the_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == Exit.DONE
    without = capsys.readouterr().out
    assert run(["--help"]) == Exit.DONE
    assert capsys.readouterr().out == without
    assert all(f"  {name} " in without and line in without for name, (_, line) in COMMANDS.items())


def test_nouns_may_be_said_in_the_plural() -> None:
    context = click.Context(cli)
    assert cli.get_command(context, "apps") is cli.get_command(context, "app")
    assert cli.get_command(context, "status") is not None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["mesage", "list"], 'error: no command "mesage"; did you mean message?'),
        (["app", "lits"], 'error: no verb "lits" for app; did you mean list?'),
        (["app", "zzz"], 'error: no verb "zzz" for app; there are list, show, add, set, remove'),
        (["app", "list", "--jsno"], "error: no such option '--jsno'. Did you mean '--json'?"),
        (["app", "show"], "error: missing argument 'NAME'"),
        (["config", "show", "--config"], "error: option '--config' requires an argument"),
    ],
)
def test_a_slip_is_answered_with_a_guess(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second, *_ = captured.err.splitlines()
    assert first == meant
    assert second.endswith("--help")


def test_wrong_usage_is_a_document_where_json_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["app", "lits", "--json"]) == Exit.USAGE
    assert json.loads(capsys.readouterr().err)["code"] == "usage"


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main.cli, "main", lambda *_, **__: fail())


def test_an_error_ends_with_the_exit_code_it_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, PillarboxError("gone", code="not_found"))
    assert run([]) == Exit.NOT_FOUND
    assert "error: gone" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_is_no_error(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, error)
    assert run([]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "\n"


def test_the_unexpected_ends_in_one_sentence_behind_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("oops"))
    assert run([]) == Exit.FAILED
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.index("Traceback") < said.index("error: something went wrong inside Pillarbox")
    assert "ZeroDivisionError: oops" in said


def test_the_version_is_told_in_two_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == Exit.DONE
    assert capsys.readouterr().out == f"pillarbox {__version__}\n"


def test_the_console_script_leaves_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pillarbox", "nonsense"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == Exit.USAGE
