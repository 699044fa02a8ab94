"""nouns and verbs: help with its examples first, modules imported when used, guesses for typos"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

from pillarbox.cli.output import run_as

Example = tuple[str, str]
"""What is typed behind the program's name, and what it does."""

_ALIASES: Final = {"ls": "list", "rm": "remove", "delete": "remove", "create": "add"}
_HELP_WIDTH: Final = 100
_CUTOFF: Final = 0.6


class Option(click.Option):
    """An option that knows under which heading the help shows it."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        """As click's, with the heading."""
        super().__init__(*args, **kwargs)
        self.section = section


class WholeNumber(click.ParamType[int]):
    """A whole number between two others; the help does not spell out the bounds."""

    name = "number"

    def __init__(self, low: int, high: int = 2**53) -> None:
        """Both bounds are allowed themselves."""
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As click's: fails with a sentence that names the bounds."""
        if isinstance(value, int):
            return value
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if not self.low <= number <= self.high:
            bounds = f"at least {self.low}" if number < self.low else f"at most {self.high}"
            self.fail(f"{number} is out of range, it is {bounds}", param, ctx)
        return number


class Verb(click.Command):
    """A command whose help begins with examples."""

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **kwargs: Any) -> None:
        """As click's, with the examples."""
        kwargs.setdefault("context_settings", {"max_content_width": _HELP_WIDTH})
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, one sentence, examples, then everything there is to set."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options by heading: the verb's own first, then those that many have in common."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                heading = getattr(parameter, "section", "Options")
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Noun(click.Group):
    """A group of verbs: aliases are understood, and a typo is answered with a guess."""

    command_class = Verb

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **kwargs: Any) -> None:
        """As click's, with examples for the help of the noun itself."""
        kwargs.setdefault("context_settings", {"max_content_width": _HELP_WIDTH})
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, one sentence, examples, verbs, options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)
        self.format_options(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which they were written down, which is that of use."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """By name, or by one of the few aliases."""
        found = super().get_command(ctx, cmd_name)
        alias = _ALIASES.get(cmd_name)
        return found or (super().get_command(ctx, alias) if alias else None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; an unknown verb is named together with the one that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:
            known = self.list_commands(ctx)
            what = "verb" if ctx.parent else "command"
            where = f" for {ctx.info_name}" if ctx.parent else ""
            message = f'no {what} "{unknown.command_name}"{where}'
            raise click.UsageError(message + _guess(unknown.command_name, known), ctx) from None


class LazyNoun(Noun):
    """The root: it knows the names and one line about each, and imports what is called."""

    def __init__(self, *args: Any, modules: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        """`modules`: for each name, ``module:attribute`` and the line for the help."""
        super().__init__(*args, **kwargs)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order given."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module behind a name; a noun may be said in the plural."""
        for name in (cmd_name, cmd_name.removesuffix("s")):
            if name in self.modules:
                module, _, attribute = self.modules[name][0].partition(":")
                command = getattr(import_module(module), attribute)
                if isinstance(command, click.Command):
                    return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The lines given, so that nothing is imported for them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.modules.items()])


def examples(*pairs: Example) -> Callable[[Any], Any]:
    """Give examples to a verb or noun: a decorator that stands above the one that makes it."""

    def attach(command: Any) -> Any:
        command.examples = pairs
        return command

    return attach


def _write_examples(pairs: Sequence[Example], formatter: click.HelpFormatter) -> None:
    if not pairs:
        return
    with formatter.section("Examples"):
        for line, words in pairs:
            command = f"{run_as()} {line}" if not line.startswith("|") else line[1:]
            formatter.write_text(f"\b\n{command}\n    {words}" if words else command)


def _guess(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, 1, _CUTOFF)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known)}"
