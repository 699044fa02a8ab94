"""what there is to say once everything is ready"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pillarbox.terms.secret import Secret

_HOST: Final = re.compile(r"[A-Za-z0-9._-]*(?::\d*)?|\[[0-9A-Fa-f:.%]+\](?::\d*)?")
_SHOWN: Final = frozenset({"host", "port", "dbname", "user", "sslmode", "target_session_attrs"})
"""What may be said of the parameters behind the question mark; a password may be one, too."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where to connect, what is shown once, what waits."""

    version: str
    data_dir: str
    created: bool
    """This is the first start: the secrets below are given now and never again."""
    http_url: str
    http_note: str
    """Why it is not the port asked for; empty where it is."""
    smtp: list[tuple[str, int, str, str]]
    """Host, port, ``STARTTLS``, ``TLS`` or ``plain``, and why it is not the port asked for."""
    ca_path: str
    first_username: str | None
    first_password: Secret | None
    first_key: Secret | None
    mode: str
    """The loosest mode any app has."""
    waiting: int
    seconds: float
    """From the call to being ready."""
    last_message: str | None
    database: str = ""
    """Where mail rests, as `without_password` gives it; empty for the data directory."""
    node: str = ""
    roles: tuple[str, ...] = ()


def without_password(url: Secret) -> str:
    """The URL of a database as anybody may see it; what might be part of a password is left out."""
    parts = urlsplit(url.reveal())
    if not parts.scheme:
        return ""
    said, _, hosts = parts.netloc.rpartition("@")
    user = said.partition(":")[0]
    strange = "@" in parts.path + parts.query + parts.fragment
    if strange or not all(map(_HOST.fullmatch, hosts.split(","))):
        return f"{parts.scheme}://..."
    shown = [pair for pair in parse_qsl(parts.query) if pair[0] in _SHOWN]
    query = f"?{urlencode(shown, safe='/:,')}" if shown else ""
    return f"{parts.scheme}://{user}{'@' if user else ''}{hosts}{parts.path}{query}"
