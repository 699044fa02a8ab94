"""what flags, environment and files say, in order of strength and not yet checked"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import InvalidHostname, parse_domain

ENV_PREFIX: Final = "PILLARBOX_"
FILE_NAME: Final = "pillarbox.toml"
SYSTEM_FILE: Final = Path("/etc/pillarbox") / FILE_NAME
DATA_DIR: Final = Path("pillarbox-data")
TOP_LEVEL: Final = (
    "data_dir", "hostname", "database_url", "secret_key", "node", "roles",
    "database_url_file", "secret_key_file",
)  # fmt: skip
"""The keys that stand above all sections."""

_OTHERS_MAY_WRITE: Final = 0o002
_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in the settings: where it stands, what it is and what to do."""

    where: str
    sentence: str
    code: str = "config_invalid"
    key: str = ""
    """The setting that is wrong; empty where it is not one of those there are."""

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


class InvalidSettings(PillarboxError):
    """The settings cannot be used."""

    code = "config_invalid"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """All `mistakes` at once, in the order in which they were found; at least one."""
        count = len(mistakes)
        key = next((mistake.key for mistake in mistakes if mistake.key), "")
        super().__init__(
            str(mistakes[0]) if count == 1 else f"the settings have {count} mistakes",
            code=mistakes[0].code,
            fix=f"pillarbox config explain {key} says what that setting takes"
            if key
            else "pillarbox config reference lists all settings and what they take",
        )
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it, and where."""

    value: object
    origin: str
    is_text: bool = False
    """Whether it came as text, from the environment or a flag, and is still to be read."""
    file: Path | None = None
    """The file it stands in, from whose directory its relative paths are meant."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What was said, one mapping per source, strongest first."""

    layers: tuple[Mapping[str, Given], ...]
    mistakes: tuple[Mistake, ...] = ()

    def given(self, key: str) -> Given | None:
        """The strongest word on a setting; None where nobody said anything."""
        return next((layer[key] for layer in self.layers if key in layer), None)

    def data_dir(self) -> Path:
        """The data directory alone, for whoever only wants to find a running Pillarbox."""
        found = self.given("data_dir")
        return anchored(Path(str(found.value)) if found else DATA_DIR, found)


def read_sources(
    flags: Mapping[str, str],
    environment: Mapping[str, str],
    config_file: Path | None = None,
    *,
    directory: Path | None = None,
    system_file: Path = SYSTEM_FILE,
) -> Sources:
    """Flags, environment, `config_file`, pillarbox.toml in `directory`, `system_file`.

    `directory` is the working directory unless given. Raises nothing: what cannot be read is
    among the mistakes.
    """
    mistakes: list[Mistake] = []
    layers: list[Mapping[str, Given]] = [
        {key: Given(text, _flag(key), True) for key, text in flags.items()},
        _from_environment(environment, mistakes),
    ]
    here = (directory or Path.cwd()) / FILE_NAME
    if config_file is not None:
        layers.append(_from_file(config_file, mistakes))
    for path in (here, system_file):
        if not path.is_file() or (config_file and _same_file(path, config_file)):
            continue
        distrust = _why_not_believed(path)
        if distrust:
            mistakes.append(Mistake(_shown(path), distrust))
        else:
            layers.append(_from_file(path, mistakes))
    return Sources(tuple(layers), tuple(mistakes))


def anchored(value: Path, found: Given | None) -> Path:
    """An absolute path, meant from the file it was given in or else from where we are."""
    base = found.file.absolute().parent if found and found.file else Path.cwd()
    return base / value.expanduser()


def machine_name() -> str:
    """The name this machine says it has, with its domain; ``localhost`` where it has none.

    Nobody is asked over the network: a resolver that is down must not delay a start.
    """
    name = os.uname().nodename
    for candidate in (name, *_names_beside(name)):
        try:
            if "." in candidate:
                return parse_domain(candidate)
        except InvalidHostname:
            continue
    return "localhost"


def _flag(key: str) -> str:
    if key == "database_url":
        return "--database"
    return f"--{key.replace('_', '-')}" if key in TOP_LEVEL else f"--set {key}"


def _from_environment(
    environment: Mapping[str, str], mistakes: list[Mistake]
) -> Mapping[str, Given]:
    layer: dict[str, Given] = {}
    for name, text in environment.items():
        if not name.startswith(ENV_PREFIX):
            continue
        key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".", 1)
        if "." in key or key in TOP_LEVEL:
            layer[key] = Given(text, name, True)
        elif close := get_close_matches(key, TOP_LEVEL, 1, 0.8):
            # Only a near miss is a mistake: orchestrators set variables such as
            # PILLARBOX_SERVICE_HOST on their own account.
            meant = ENV_PREFIX + close[0].upper()
            mistakes.append(
                Mistake(name, f"is no setting; did you mean {meant}?", "config_unknown_key")
            )
    return layer


def _from_file(path: Path, mistakes: list[Mistake]) -> Mapping[str, Given]:
    shown = _shown(path)
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        line = re.search(r"at line (\d+)", str(wrong))
        mistakes.append(Mistake(f"{shown}:{line[1]}" if line else shown, f"is not TOML: {wrong}"))
        return {}
    except (OSError, UnicodeDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8 text"
        mistakes.append(Mistake(shown, f"cannot be read: {reason}"))
        return {}
    lines = _lines_of_keys(text)
    return {
        key: Given(value, f"{shown}:{line}" if line else shown, file=path)
        for key, value in _flattened(document)
        for line in [lines.get(key) or lines.get(key.partition(".")[0])]
    }


def _flattened(document: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", item) for name, item in value.items())
        else:
            yield key, value


def _lines_of_keys(text: str) -> dict[str, int]:
    """Where each key stands. The parser does not say; a guess inside a long string does no harm."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1].replace('"', "") + "."
            lines.setdefault(section.rstrip("."), number)
        elif key := _KEY.match(line):
            lines.setdefault(section + key[1].strip("\"'"), number)
    return lines


def _why_not_believed(path: Path) -> str:
    """Why a file that was found, not named, is not believed; empty where it is."""
    facts = path.stat()
    if facts.st_uid not in (0, os.geteuid()):
        return f"belongs to another user; to use it all the same: --config {_shown(path)}"
    if facts.st_mode & _OTHERS_MAY_WRITE:
        return f"can be changed by everybody; chmod o-w {_shown(path)}"
    return ""


def _names_beside(name: str) -> list[str]:
    """The other names that /etc/hosts has on the lines of `name`."""
    try:
        lines = Path("/etc/hosts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    fields = [line.partition("#")[0].split() for line in lines]
    return [word for words in fields if name in words[1:] for word in words[1:]]


def _same_file(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _shown(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
