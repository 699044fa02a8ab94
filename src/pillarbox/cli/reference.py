"""the reference pages, made from the code they describe"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import cleandoc
from typing import Final

import click
import msgspec

from pillarbox.cli.client_pages import CLIENT_PAGES
from pillarbox.cli.config import default_text
from pillarbox.cli.errors import EXIT_WORDS
from pillarbox.cli.group import Noun, Verb
from pillarbox.cli.main import cli
from pillarbox.cli.markdown import opening, page, table, wrapped
from pillarbox.cli.options import HOW, WHICH
from pillarbox.cli.preset_page import PRESET_PAGES
from pillarbox.cli.reply_page import REPLY_PAGES
from pillarbox.policy.delivery import BIRTH, STATE_WORDS, TRANSITIONS, WAITING, State, Trigger
from pillarbox.policy.events import EVENT_KINDS
from pillarbox.settings import SERVED, all_rooms, known
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.terms.setting import describe_kind, format_value

_WHEN: Final[Mapping[Trigger, str]] = {
    Trigger.DUE: "its time has come",
    Trigger.CLAIMED: "it is its turn",
    Trigger.PUT_BACK: "Pillarbox stops before it was sent",
    Trigger.LEASE_EXPIRED: "the process that had it died",
    Trigger.LEASE_EXPIRED_HOLD: "the process that was sending it died, and `uncertain` is `hold`",
    Trigger.TAKEN_BY_SERVER: "a server of the app took it",
    Trigger.TAKEN_BY_MX: "the recipient's own server took it",
    Trigger.LATER: "refused for the time being, or not reached",
    Trigger.NEVER: "refused for good",
    Trigger.LOST_AFTER_DOT: "the line was lost behind the final dot",
    Trigger.LOST_AFTER_DOT_HOLD: "the same, and `uncertain` is `hold`",
    Trigger.TOO_OLD: "it is too old",
    Trigger.SUPPRESSED: "its address was suppressed meanwhile",
    Trigger.CALLER_TOLD: "the waiting caller was told that it failed",
    Trigger.HOLD: "somebody holds it",
    Trigger.RELEASE: "somebody releases it",
    Trigger.CANCEL: "somebody cancels it",
    Trigger.RETRY: "somebody wants it tried now",
    Trigger.MOVE: "somebody sends it another way",
    Trigger.LATE_FAILURE: "a report says that it was returned",
    Trigger.LATE_SUCCESS: "a report confirms it",
    Trigger.COMPLAINT: "the recipient complains",
}


def settings_page() -> str:
    """Every setting: what it takes, its default, what it is about."""
    rooms = all_rooms()
    lines = [
        *opening("Settings"),
        "How this process runs is said by flags, by the environment and by files, the first of",
        "these being the strongest:",
        "",
        "1. flags, such as `--data-dir DIR`, or `--set KEY=VALUE` for any setting",
        "2. the environment: `PILLARBOX_SMTP__MAX_MESSAGE_MB=50`, two underscores for the dot;",
        "   a secret may lie in a file: the variable's name with `_FILE` behind it",
        "3. the file given with `--config`",
        "4. `pillarbox.toml` in the working directory",
        "5. `/etc/pillarbox/pillarbox.toml`",
        "6. the defaults below; for ports under `serve`, [other ones](#what-serve-opens)",
        "",
        "Sources are read setting by setting: a file that says one thing leaves the rest as it is.",
        "`pillarbox config check` finds mistakes, `pillarbox config show --origin` says what is in",
        "force and who said so. Apps, servers, logins and keys are not settings; they live in the",
        "data directory and are changed while Pillarbox runs.",
        "",
    ]
    entries = known(rooms)
    for section in ("", *rooms):
        rows = [
            [
                f"`{each.key}`",
                describe_kind(each.kind),
                default_text(each) if each.key == "hostname" else f"`{default_text(each)}`",
                each.about,
            ]
            for each in entries
            if each.key.rpartition(".")[0] == section
        ]
        lines += [f"## {f'[{section}]' if section else 'Above all sections'}", ""]
        lines += [*table(("setting", "takes", "default", "what it is about"), rows)]
        lines.append("")
    lines += [
        "## What serve opens",
        "",
        "`pillarbox up` begins with the defaults above, `pillarbox serve` with these. What anybody",
        "sets is stronger than both. [Ports and certificates](../ports.md)",
        "",
        *table(
            ("setting", "under serve"),
            [[f"`{key}`", f"`{format_value(value)}`"] for key, value in SERVED.items()],
        ),
        "",
    ]
    return page(lines)


def cli_page() -> str:
    """Every command with its examples and options."""
    root = click.Context(cli, info_name="pillarbox")
    lines = [
        *opening("Command line"),
        "`pillarbox NOUN VERB`. Nouns may be said in the plural, `ls` means `list` and `rm` means",
        "`remove`. Results go to standard output, everything else to standard error. Commands speak",
        "to the Pillarbox that runs over the data directory; where none runs they open the data",
        "themselves.",
        "",
        "## Exit codes",
        "",
        *table(("code", "meaning"), [[str(int(c)), words] for c, words in EXIT_WORDS.items()]),
        "",
        "## Options that most commands have",
        "",
        *table(("option", "meaning"), _options(_verb(root, "app", "list"), common=True)),
        "",
    ]
    for name, command, context in _walk(cli, root):
        lines += [f"## {name}", "", *cleandoc(command.help or "").splitlines(), ""]
        shown = command.examples if isinstance(command, Verb | Noun) else ()
        if shown:
            lines.append("```")
            for line, words in shown:
                lines += [f"# {words}", f"pillarbox {line}"] if words else [f"pillarbox {line}"]
            lines += ["```", ""]
        if not isinstance(command, click.Group):
            usage = " ".join(command.collect_usage_pieces(context)[1:])
            lines += [f"`{name}{' ' + usage if usage else ''}`", ""]
            rows = _options(command, common=False)
            lines += [*table(("option", "meaning"), rows), ""] if rows else []
    return page(lines)


def errors_page() -> str:
    """Every entry of the error catalogue."""
    lines = [
        *opening("Errors"),
        "One list for every face: the command line prints the code and ends with the exit code, the",
        "HTTP API answers with the status and a problem document (RFC 9457) that has the code, an",
        "SMTP session says the reply code and the enhanced status.",
        "",
    ]
    for each in CATALOGUE.values():
        smtp = f" · SMTP `{each.smtp}`" if each.smtp else ""
        lines += [
            f"## {each.code}",
            "",
            f"{each.title} · HTTP `{each.http_status}` · exit code `{each.exit_code}`{smtp}",
            "",
            each.about,
            "",
            f"*What to do:* {each.fix}",
            "",
        ]
    return page(lines)


def states_page() -> str:
    """Every state of a delivery, and what leads from one to another."""
    rows = [
        [
            f"`{state.value}`",
            STATE_WORDS[state].word,
            STATE_WORDS[state].about,
            "waits" if state in WAITING else "final",
            "yes" if state in BIRTH else "",
        ]
        for state in State
    ]
    steps: dict[tuple[State, State], list[str]] = {}
    for (state, trigger), following in TRANSITIONS.items():
        steps.setdefault((state, following), []).append(_WHEN[trigger])
    lines = [
        *opening("States of a delivery"),
        "A message has one delivery for each recipient, and each has its own state.",
        "",
        *table(("state", "shown as", "means", "", "may begin so"), rows),
        "",
        "## What leads where",
        "",
        "Whatever is not listed is refused.",
        "",
        *table(
            ("from", "to", "when"),
            [
                [f"`{state.value}`", f"`{following.value}`", ", ".join(triggers)]
                for (state, following), triggers in steps.items()
            ],
        ),
        "",
    ]
    return page(lines)


def events_page() -> str:
    """Every kind of event, and the facts stored with it."""
    shapes: dict[str, type[msgspec.Struct]] = {}
    rows = []
    for kind, entry in EVENT_KINDS.items():
        shapes[entry.struct.__name__] = entry.struct
        anchor = f"[{entry.struct.__name__}](#{entry.struct.__name__.lower()})"
        rows.append([f"`{kind}`", entry.level, entry.about, anchor])
    lines = [
        *opening("Events"),
        "What happened, in the order in which it was committed: `GET /pillarbox/v1/events`, and the",
        "history of each delivery in `pillarbox message show`.",
        "",
        *table(("kind", "level", "means", "facts"), rows),
        "",
    ]
    for name, shape in shapes.items():
        fields = [f"`{each.encode_name}`" for each in msgspec.structs.fields(shape)]
        about = (shape.__doc__ or "").strip().partition("\n")[0]
        lines += [f"## {name}", "", about, "", *wrapped(fields), ""]
    return page(lines)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/states.md": states_page,
    "docs/reference/events.md": events_page,
    **REPLY_PAGES,
    **CLIENT_PAGES,
    **PRESET_PAGES,
}
"""Each page, from the root of the repository, and what makes its text."""


def _walk(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below a group, nouns before their verbs, with its whole name."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _walk(command, inner)


def _verb(root: click.Context, noun: str, verb: str) -> click.Command:
    found = {path: command for path, command, _ in _walk(cli, root)}
    return found[f"{root.info_name} {noun} {verb}"]


def _options(command: click.Command, *, common: bool) -> list[list[str]]:
    rows = []
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        if (getattr(parameter, "section", "") in (WHICH, HOW)) is not common:
            continue
        names = " / ".join([*parameter.opts, *parameter.secondary_opts])
        metavar = (
            "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
        )
        rows.append([f"`{names}{metavar}`", parameter.help or ""])
    return rows
