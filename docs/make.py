"""writes the generated pages and checks the links between all pages: ./do docs"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.house.tree import modules, pages  # noqa: E402

_NOTE = "<!-- Written by ./do docs. Change the sentences in the code, not here. -->\n\n"


def settings_page() -> str:
    """Every setting: name, what it takes, default, sentence; by section."""
    from pillarbox.cli.config import default_text, variable_of
    from pillarbox.settings import all_rooms, known
    from pillarbox.terms.setting import describe_kind

    parts = [
        "# Settings\n\n"
        + _NOTE
        + "Strongest first: options of the command line, the environment, the "
        "file named with\n`--config`, `./pillarbox.toml`, `/etc/pillarbox/pillarbox.toml`, what is "
        "written here. A section is a\ntable of the file. The variable of `smtp.port` would be "
        "`PILLARBOX_SMTP__PORT`. `./do config check`\nnames every mistake at once; "
        "`./do config explain NAME` says what one setting is set to, and by whom.\n"
    ]
    section = None
    for entry in known(all_rooms()):
        above, _, name = entry.key.rpartition(".")
        if above != section:
            section = above
            title = f"`[{above}]`" if above else "Above all sections"
            parts.append(f"\n## {title}\n\n| setting | takes | default | |\n|---|---|---|---|\n")
        about = entry.about.replace("|", "\\|")
        if entry.secret:
            about += f" Secret: {variable_of(entry)} may name a file."
        default = default_text(entry).replace("|", "\\|")
        parts.append(f"| `{name}` | {describe_kind(entry.kind)} | `{default}` | {about} |\n")
    return "".join(parts)


def errors_page() -> str:
    """Every entry of the catalogue, with the codes it has on each face."""
    from pillarbox.terms.catalogue import CATALOGUE

    parts = [
        "# Errors\n\n"
        + _NOTE
        + "Each problem has one name everywhere: in the JSON of the HTTP API "
        "(`code`), on the command line and in\nthe log. An SMTP code stands where it can be met in a "
        "session.\n"
    ]
    for problem in sorted(CATALOGUE.values(), key=lambda each: each.code):
        faces = [f"HTTP {problem.http_status}", f"exit code {problem.exit_code}"]
        faces += [f"SMTP {problem.smtp}"] if problem.smtp else []
        parts.append(
            f"\n## {problem.code}\n\n**{problem.title}** · {' · '.join(faces)}\n\n"
            f"{problem.about} {problem.fix}\n"
        )
    return "".join(parts)


def cli_page() -> str:
    """The help of every command, as it is printed."""
    import click

    from pillarbox.cli.main import cli

    parts = ["# The command line\n\n" + _NOTE + "In a clone `./do` stands for `pillarbox`.\n"]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
        level = "##" if parent is None or parent.parent is None else "###"
        parts.append(
            f"\n{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
        )
        if isinstance(command, click.Group):
            for verb in command.list_commands(context):
                below = command.get_command(context, verb)
                assert below is not None, f"{context.command_path} {verb} does not exist"
                add(below, verb, context)

    add(cli, "pillarbox", None)
    return "".join(parts)


GENERATED: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_page,
    "docs/errors.md": errors_page,
    "docs/cli.md": cli_page,
}
"""Page to what makes its text; a test compares both."""


def house_map() -> str:
    """Every module with its length and caption, floor by floor."""
    lines = []
    for module in modules():
        depth = module.name.count(".")
        name = module.name.rpartition(".")[2]
        if module.path.name == "__init__.py":
            name += "/"
        lines.append(f"{'  ' * depth}{name:<{28 - 2 * depth}} {module.lines:>4}  {module.caption}")
    return "\n".join(lines) + "\n"


def anchors(text: str) -> set[str]:
    """What may stand behind # in a link to a page, as forges make it from headings."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links() -> Iterator[str]:
    """Links between our own pages that lead nowhere."""
    for page in pages():
        prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        targets = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(
            r'(?:src|href)="([^"]+)"', prose
        )
        for target in targets:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            wanted = (page.parent / path).resolve() if path else page
            if not wanted.exists():
                yield f"{page.relative_to(ROOT)}: {target} does not exist"
            elif anchor and anchor not in anchors(wanted.read_text(encoding="utf-8")):
                yield f"{page.relative_to(ROOT)}: {target} names no heading"


def main() -> int:
    """Write what is generated; 1 where a link is broken."""
    parser = argparse.ArgumentParser(prog="./do docs", description="Write the generated pages.")
    parser.add_argument("--map", action="store_true", help="print the map of modules instead")
    if parser.parse_args().map:
        print(house_map(), end="")
        return 0
    os.environ.pop("PILLARBOX_RUN_AS", None)
    for name, make in GENERATED.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
        print(f"wrote {name}")
    broken = list(broken_links())
    print(*broken, sep="\n", end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
