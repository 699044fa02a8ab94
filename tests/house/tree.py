"""the repository as the house tests see it: modules, captions, pages, exceptions"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pillarbox"
DOCS = ROOT / "docs"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file of the package."""

    path: Path

    @property
    def name(self) -> str:
        """Below the package, as in ``protocol.server``; the package itself is ``__init__``."""
        parts = list(self.path.relative_to(SOURCE).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        return ".".join(parts)

    @property
    def floor(self) -> str:
        """The room's topmost package."""
        return self.name.partition(".")[0]

    @property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf-8")

    @property
    def lines(self) -> int:
        """How many there are, blank ones and comments included."""
        return len(self.text.splitlines())

    @property
    def caption(self) -> str:
        """The first line of the docstring; empty where there is none."""
        said = ast.get_docstring(ast.parse(self.text)) or ""
        return said.partition("\n")[0]


@cache
def modules() -> tuple[Module, ...]:
    """All of the package."""
    return tuple(Module(path) for path in sorted(SOURCE.rglob("*.py")))


@cache
def exceptions() -> dict[str, Any]:
    """What tests/house/exceptions.toml lets pass, and why."""
    return tomllib.loads((ROOT / "tests/house/exceptions.toml").read_text(encoding="utf-8"))


@cache
def pages() -> tuple[Path, ...]:
    """Everything written in Markdown for people to read."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    below = [*DOCS.rglob("*.md"), *(ROOT / "changes").glob("*.md")]
    return (*top, *sorted(below))


def own_files() -> list[Path]:
    """What belongs to the repository: tracked, or not yet tracked and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists():  # a source archive has no history; all that lies there is ours
        hidden = re.compile(r"/(\.[a-z_]+|__pycache__|pillarbox-data)/")
        found = [path for path in ROOT.rglob("*") if path.is_file()]
        return [path for path in found if not hidden.search(str(path.relative_to(ROOT.parent)))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]
