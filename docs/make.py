"""writes the generated pages and checks the links between all pages: ./do docs"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pillarbox.cli.reference import PAGES  # noqa: E402
from tests.house import contract  # noqa: E402
from tests.house.tree import modules, pages  # noqa: E402

MADE = {**PAGES, contract.PAGE: contract.contract_page}
"""Every generated page, from the root of the repository, and what makes its text."""


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
    for name, make in MADE.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(make(), encoding="utf-8")
        print(f"wrote {name}")
    broken = list(broken_links())
    print(*broken, sep="\n", end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
