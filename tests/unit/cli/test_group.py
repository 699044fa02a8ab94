from __future__ import annotations

import click
import pytest

from pillarbox.cli.group import Noun, Option, Verb, WholeNumber, examples


@click.group(cls=Noun)
def fruit() -> None:
    """Things that grow."""


@examples(("fruit list", "all of it"), ("|echo x | pillarbox fruit add -", "from a pipe"))
@fruit.command("list")
@click.option("--special", cls=Option, section="Special", help="A special one.")
@click.option("--plain", is_flag=True, help="A plain one.")
@click.argument("what", required=False)
def list_(**_: object) -> None:
    """Everything there is. In order."""


@fruit.command("remove")
def remove() -> None:
    """Take one away."""


def help_of(command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name="list", max_content_width=80))


def test_help_begins_with_examples_and_ends_with_options() -> None:
    said = help_of(list_)
    order = ["Usage:", "Everything there is.", "Examples:", "Options:", "Special:"]
    places = [said.index(each) for each in order]
    assert places == sorted(places)
    assert "pillarbox fruit list\n      all of it" in said
    assert "echo x | pillarbox fruit add -\n" in said


def test_examples_are_written_as_they_are_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILLARBOX_RUN_AS", "./do")
    assert "./do fruit list" in help_of(list_)


def test_options_stand_under_their_headings() -> None:
    said = help_of(list_)
    assert said.index("--plain") < said.index("--help") < said.index("--special")


def test_verbs_are_listed_in_the_order_of_use() -> None:
    assert fruit.list_commands(click.Context(fruit)) == ["list", "remove"]
    assert isinstance(list_, Verb)


@pytest.mark.parametrize(("alias", "name"), [("ls", "list"), ("rm", "remove"), ("x", None)])
def test_a_few_aliases_are_understood(alias: str, name: str | None) -> None:
    found = fruit.get_command(click.Context(fruit), alias)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("10", 10), (5, 5)])
def test_a_whole_number_within_its_bounds_is_taken(text: str, number: int) -> None:
    assert WholeNumber(1, 10).convert(text, None, None) == number


@pytest.mark.parametrize(
    ("text", "words"), [("x", "not a whole number"), ("0", "at least 1"), ("11", "at most 10")]
)
def test_a_number_out_of_bounds_is_told_the_bound(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        WholeNumber(1, 10).convert(text, None, None)
