from __future__ import annotations

import click
import pytest

from pillarbox.cli.call import Call
from pillarbox.cli.main import cli, run
from pillarbox.cli.options import HOW, WHICH


def verbs(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += verbs(command, f"{path}{name} ")
        else:
            found.append((path + name, command))
    return found


VERBS = verbs(cli)


@pytest.mark.parametrize(("path", "command"), VERBS, ids=[path for path, _ in VERBS])
def test_every_verb_can_answer_a_program_and_shows_examples(
    path: str, command: click.Command
) -> None:
    names = {name for parameter in command.params for name in parameter.opts}
    assert "--json" in names
    assert "--no-color" in names
    examples = getattr(command, "examples", ())
    assert examples
    first = path.split()[0]
    assert all(line.split()[0] in (first, "config") for line, _ in examples)
    assert command.help


@pytest.mark.parametrize(("path", "command"), VERBS, ids=[path for path, _ in VERBS])
def test_the_examples_of_a_verb_can_be_typed(path: str, command: click.Command) -> None:
    """Every example is parsed as the shell would hand it over; none is carried out."""
    import shlex

    for line, _ in getattr(command, "examples", ()):
        words = shlex.split(line.partition(" < ")[0].partition(" > ")[0])
        found: click.Command = cli
        while isinstance(found, click.Group):
            inner = found.get_command(click.Context(found), words.pop(0))
            assert inner is not None, line
            found = inner
        found.make_context("x", words)


def test_no_verb_takes_a_secret_as_the_value_of_a_flag() -> None:
    telling = ("password", "secret", "key", "token")
    for path, command in VERBS:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                name = parameter.opts[0]
                if isinstance(parameter.type, click.Choice):
                    continue  # one of a few words that everybody knows is no secret
                assert name.endswith("-file") or not any(each in name for each in telling), path


def test_options_may_stand_before_or_behind_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Call] = []

    def client(call: Call) -> None:
        seen.append(call)
        raise KeyboardInterrupt

    monkeypatch.setattr(Call, "client", client)
    run(["--data-dir", "/above", "--no-color", "app", "list"])
    run(["--data-dir", "/above", "app", "list", "--data-dir", "/below", "--server", "http://x"])
    assert [call.where.data_dir for call in seen] == ["/above", "/below"]
    assert seen[1].where.server == "http://x"


def test_the_common_options_stand_under_headings_of_their_own() -> None:
    (command,) = [command for path, command in VERBS if path == "app list"]
    said = command.get_help(click.Context(command))
    assert said.index(f"{HOW}:") < said.index(f"{WHICH}:")
