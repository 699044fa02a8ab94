"""one call of the program: which Pillarbox it speaks to, how it prints, what it may ask"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from pillarbox.cli.client import Client, Where, connected
from pillarbox.cli.errors import NotConfirmed, Unreadable, WrongUsage
from pillarbox.cli.output import Screen, clean
from pillarbox.terms.secret import Secret

_MAX_SECRET_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Call:
    """What every verb needs to know beside its own options."""

    where: Where
    screen: Screen = field(default_factory=Screen)
    as_json: bool = False
    quiet: bool = False
    """Results only: names and ids, no words about them."""

    def client(self) -> AbstractContextManager[Client]:
        """A line to the Pillarbox that is meant."""
        return connected(self.where)

    def result(self, document: Any, ids: str, words: Callable[[], None]) -> None:
        """Print a result in the way that was asked for: as JSON, as its ids, or in words.

        `ids` names the member that identifies a document, or each item of its list.
        """
        if self.as_json:
            self.screen.document(document)
        elif self.quiet:
            listed = document.get("items") if isinstance(document, Mapping) else None
            for each in [document] if listed is None else listed:
                self.screen.say(clean(each.get(ids, "")))
        else:
            words()

    def talk(self, text: str = "") -> None:
        """A line in words; nothing for programs."""
        if not (self.as_json or self.quiet):
            self.screen.say(text)

    def ask_word(self, sentence: str, word: str, *, answered: bool, flag: str) -> None:
        """Go on only where a person types `word`, or `flag` was given.

        Raises `NotConfirmed`; where nobody can be asked, `WrongUsage` naming the flag.
        """
        if answered:
            return
        if not self.screen.may_ask:
            raise WrongUsage(
                "this asks first, and nobody is here to answer", detail=sentence, fix=f"add {flag}"
            )
        typed = click.prompt(
            f"{clean(sentence)}. Type {word} to confirm", default="", show_default=False, err=True
        )
        if typed.strip() != word:
            raise NotConfirmed()

    def ask_yes(self, question: str, *, answered: bool) -> None:
        """Go on only with a yes, or where ``--yes`` gave it; as `ask_word`."""
        if answered:
            return
        if not self.screen.may_ask:
            raise WrongUsage(
                "this asks first, and nobody is here to answer", detail=question, fix="add --yes"
            )
        if not click.confirm(clean(question), default=False, err=True):
            raise NotConfirmed()

    def ask_text(self, label: str, flag: str) -> str:
        """A value that was left out, from the person at the terminal; else `WrongUsage`."""
        if not self.screen.may_ask:
            raise WrongUsage(f"{label.lower()} is missing", fix=f"add {flag}")
        return str(click.prompt(label, err=True)).strip()

    def secret(self, label: str, file: str | None, *, needed: bool = True) -> Secret | None:
        """A password from `file`, from standard input where that is ``-``, or typed unseen.

        None where it is not `needed` and nobody can be asked.
        """
        if file == "-":
            return _not_empty(sys.stdin.readline(_MAX_SECRET_CHARACTERS), "standard input")
        if file is not None:
            try:
                with Path(file).open() as stream:
                    return _not_empty(stream.read(_MAX_SECRET_CHARACTERS), file)
            except (OSError, UnicodeDecodeError) as wrong:
                raise Unreadable(file, wrong) from wrong
        if not self.screen.may_ask:
            if needed:
                raise WrongUsage(
                    f"{label.lower()} is missing",
                    fix="add --password-file FILE, or --password-file - to read standard input",
                )
            return None
        return Secret(click.prompt(label, hide_input=True, err=True))


def _not_empty(text: str, source: str) -> Secret:
    value = text.rstrip("\r\n")
    if not value:
        raise WrongUsage(f"{source} holds no password")
    return Secret(value)
