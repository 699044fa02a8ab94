"""config: what is set, where, and what it means"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.errors import Exit
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean
from pillarbox.settings import SERVED, Entry, Mistake, all_rooms, check, known, suggest
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import describe_kind, format_value


class UnknownSetting(PillarboxError):
    """There is no such setting."""

    code = "not_found"


@click.group(
    cls=Noun,
    examples=[
        ("config show --origin", "what was changed, and by whom"),
        ("config explain smtp.max_message_mb", "what a setting means"),
    ],
)
def config() -> None:
    """What is set, where, and what it means. Nothing is changed by these.

    Strongest first: flags, the environment (PILLARBOX_SMTP__MAX_MESSAGE_MB=50), the file given
    with --config, ./pillarbox.toml, /etc/pillarbox/pillarbox.toml, defaults.
    """


@examples(
    ("config show", "what differs from its default"),
    ("config show --all --origin", "everything, and who said so"),
)
@config.command("show")
@click.option("--all", "everything", is_flag=True, help="Also what has its default.")
@click.option("--origin", is_flag=True, help="Where each value comes from.")
@talks
def show(call: Call, *, everything: bool, origin: bool) -> int:
    """The settings in force, as a file would hold them; secrets as stars."""
    entries, _, mistakes = check(call.where.sources(), all_rooms())
    shown = [each for each in entries if everything or call.as_json or each.origin != "default"]

    def words() -> None:
        if not shown:
            call.screen.say("# everything has its default; config show --all lists it")
        for line, source in _as_toml(shown):
            call.screen.say(f"{line}   # {clean(source)}" if origin and source else line)

    document = {
        each.key: {"value": _plain(each), "origin": each.origin, "default": _default(each)}
        for each in shown
    }
    call.result(document, "", words)
    _print_mistakes(call, mistakes)
    return Exit.FOUND_PROBLEMS if mistakes else Exit.DONE


@examples(
    ("config check", "before a start"),
    ("config check --config /etc/pillarbox/pillarbox.toml", "a file that is not in force yet"),
)
@config.command("check")
@talks
def check_(call: Call) -> int:
    """Look for mistakes: all of them at once, each with its line. Exit code 6 if there are any."""
    sources = call.where.sources()
    entries, _, mistakes = check(sources, all_rooms())
    mistakes = [*mistakes, *_unusable_files(entries), *_unwritable(sources.data_dir())]

    def words() -> None:
        if not mistakes:
            call.screen.say("The settings are in order.")
        _print_mistakes(call, mistakes)

    document = {
        "items": [
            {"where": each.where, "detail": each.sentence, "code": each.code} for each in mistakes
        ]
    }
    call.result(document, "where", words)
    return Exit.FOUND_PROBLEMS if mistakes else Exit.DONE


@examples(("config explain smtp.max_message_mb", "what it is, what it takes, what it is set to"))
@config.command("explain")
@click.argument("key")
@talks
def explain(call: Call, key: str) -> None:
    """What a setting is about, what it takes, and what it is set to."""
    entries, _, _ = check(call.where.sources(), all_rooms())
    by_key = {each.key: each for each in entries}
    found = by_key.get(key)
    if found is None:
        several = [each for each in by_key if each.startswith(f"{key.rstrip('.')}.")]
        guess = f"; it is a section with {', '.join(several)}" if several else suggest(key, by_key)
        raise UnknownSetting(
            f"there is no setting {key}{guess}", fix="pillarbox config reference   lists them all"
        )
    variable = variable_of(found)
    document = {
        "key": found.key,
        "about": found.about,
        "takes": describe_kind(found.kind),
        "default": _default(found),
        "served": SERVED.get(key, _default(found)),
        "value": _plain(found),
        "origin": found.origin,
        "environment": variable,
    }

    def words() -> None:
        call.screen.say(f"{found.key}: {found.about}")
        call.screen.fields(
            [
                ("Takes", document["takes"]),
                ("Default", default_text(found)),
                ("Under serve", format_value(SERVED[key]) if key in SERVED else ""),
                ("Set to", f"{format_value(_masked(found))} ({found.origin})"),
                ("In a file", _line_in_file(found)),
                ("Environment", variable),
            ]
        )

    call.result(document, "key", words)


@examples(("config reference", "every setting with its default"))
@config.command("reference")
@talks
def reference(call: Call) -> None:
    """Every setting there is: its default and what it is about."""
    entries = known(all_rooms())
    document = {
        "items": [
            {
                "key": each.key,
                "takes": describe_kind(each.kind),
                "default": _default(each),
                "about": each.about,
                "environment": variable_of(each),
            }
            for each in entries
        ],
        "next": None,
    }

    def words() -> None:
        rows = [[each.key, default_text(each), each.about] for each in entries]
        columns = [Column("setting", fixed=True), Column("default"), Column("about")]
        call.screen.table(columns, rows)

    call.result(document, "key", words)


def variable_of(entry: Entry) -> str:
    """The environment variable of a setting, with that for a file where it is a secret."""
    name = "PILLARBOX_" + entry.key.upper().replace(".", "__")
    return f"{name} or {name}_FILE" if entry.secret else name


def default_text(entry: Entry) -> str:
    """A default for people, the same on every machine."""
    if entry.key == "hostname":
        return "the machine's name"
    return format_value(entry.default)


def _default(entry: Entry) -> Any:
    return None if entry.key == "hostname" else _plain_value(entry.default)


def _plain(entry: Entry) -> Any:
    return _plain_value(_masked(entry))


def _masked(entry: Entry) -> Any:
    return "****" if entry.secret and entry.value else entry.value


def _plain_value(value: Any) -> Any:
    match value:
        case Secret():
            return "****" if value else ""
        case tuple() | frozenset():
            return [_plain_value(each) for each in value]
        case Path():
            return str(value)
        case _:
            return value


def _as_toml(entries: list[Entry]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    section = ""
    for entry in entries:
        above, dot, name = entry.key.rpartition(".")
        if dot and above != section:
            lines.extend([("", "")] if lines else [])
            lines.append((f"[{above}]", ""))
            section = above
        lines.append((f"{name} = {format_value(_masked(entry))}", entry.origin))
    return lines


def _line_in_file(entry: Entry) -> str:
    section, dot, name = entry.key.rpartition(".")
    value = '"..."' if entry.key == "hostname" else format_value(entry.default)
    return f"[{section}] {name} = {value}" if dot else f"{name} = {value}"


def _print_mistakes(call: Call, mistakes: list[Mistake]) -> None:
    if call.as_json:
        return
    for mistake in mistakes:
        call.screen.note(clean(str(mistake)))


def _unusable_files(entries: list[Entry]) -> list[Mistake]:
    """Files that settings name and that cannot be read."""
    found = []
    for entry in entries:
        if not entry.key.endswith(("_file", "_files")) or not entry.value:
            continue
        for path in (entry.value,) if isinstance(entry.value, str) else entry.value:
            try:
                with Path(path).open("rb"):
                    pass
            except OSError as wrong:
                sentence = f"{entry.key} names {path}: {wrong.strerror}"
                found.append(Mistake(entry.origin, sentence))
    return found


def _unwritable(directory: Path) -> list[Mistake]:
    """Whether the data directory, or the one it would be made in, can be written to."""
    there = directory
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return []
    except OSError as wrong:
        sentence = f"{there} cannot be written to by uid {os.geteuid()}: {wrong.strerror}"
        return [Mistake("data_dir", sentence)]
