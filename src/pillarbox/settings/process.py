"""the settings that stand above all sections, and what they may be"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pillarbox.settings.sources import DATA_DIR, machine_name
from pillarbox.terms.hostname import InvalidHostname, parse_domain
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting, setting

CUTOFF: Final = 0.6
"""How alike a word and the one that was meant are."""

ROLES: Final = ("smtp", "http", "deliver", "bounces", "webhooks", "upkeep")
_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRET_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_NODE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})")


@dataclass(frozen=True, slots=True)
class Process:
    """The settings that stand above all sections."""

    data_dir: Path = setting(
        DATA_DIR,
        "Directory that holds everything Pillarbox keeps; one running Pillarbox owns it.",
    )
    hostname: str = setting(
        machine_name,
        "Name this Pillarbox gives itself in greetings, trace fields and message ids.",
    )
    database_url: Secret = setting(
        Secret(""),
        "PostgreSQL in which mail rests, as postgresql://USER@HOST/NAME, and which several nodes may "
        "share; empty for a file in the data directory.",
        secret=True,
    )
    secret_key: Secret = setting(
        Secret(""),
        "Key that seals passwords in the database, 64 hexadecimal digits, the same on all nodes; "
        "empty for the one in the data directory.",
        secret=True,
    )
    node: str = setting(
        "",
        "Name of this node among those that share a database; each has its own. Empty for the name "
        "of the machine.",
    )
    roles: tuple[str, ...] = setting(
        ROLES,
        "What this node does: smtp and http accept mail, deliver sends it, bounces reads notices, "
        "webhooks posts news, upkeep cleans up.",
    )


def suggest(word: str, words: Iterable[str]) -> str:
    """``; did you mean x?`` where one of the `words` is close, otherwise nothing."""
    close = get_close_matches(word, list(words), 1, CUTOFF)
    return f"; did you mean {close[0]}?" if close else ""


def _checked_hostname(value: str) -> str:
    try:
        return "localhost" if value == "localhost" else parse_domain(value)
    except InvalidHostname as wrong:
        raise InvalidSetting(f"must be a domain name: {wrong.sentence}") from wrong


def _checked_database(value: Secret) -> Secret:
    url = value.reveal().strip()
    if url and not url.startswith(_SCHEMES):
        raise InvalidSetting(
            "begins with postgresql://; for a file in the data directory leave it empty"
        )
    return Secret(url)


def _checked_secret_key(value: Secret) -> Secret:
    if value and not _SECRET_KEY.fullmatch(value.reveal().strip()):
        raise InvalidSetting("is 64 hexadecimal digits; openssl rand -hex 32 makes some")
    return Secret(value.reveal().strip())


def _checked_node(value: str) -> str:
    if value and not _NODE.fullmatch(value):
        raise InvalidSetting("is a name of letters, digits, dots and hyphens, at most 63")
    return value


def _checked_roles(value: tuple[str, ...]) -> tuple[str, ...]:
    strange = [role for role in value if role not in ROLES]
    if strange or not value:
        wrong = f"{strange[0]} is none{suggest(strange[0], ROLES)}" if strange else "none is named"
        raise InvalidSetting(f"is a list out of {', '.join(ROLES)}; {wrong}")
    return tuple(role for role in ROLES if role in value)


CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "hostname": _checked_hostname,
    "database_url": _checked_database,
    "secret_key": _checked_secret_key,
    "node": _checked_node,
    "roles": _checked_roles,
}
