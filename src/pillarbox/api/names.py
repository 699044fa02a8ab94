"""the names people give to apps, servers, credentials and keys"""

from __future__ import annotations

import re
from typing import Final

from pillarbox.terms.errors import PillarboxError

RESERVED: Final = frozenset({"system", "user", "admin", "private", "auth", "api_docs"})
"""These would collide with other routes of the interfaces whose paths contain an app's name."""

_ROUTES: Final = frozenset({"problems"})
"""What follows ``/credentials/`` and is no credential."""

_APP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_THING: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class InvalidName(PillarboxError):
    """A name has characters it cannot have."""

    code = "invalid_value"


def app_name(text: str) -> str:
    """An app's name, folded to lower case. Raises `InvalidName`."""
    folded = text.lower()
    if folded in RESERVED:
        raise InvalidName(f"{folded!r} is a reserved name")
    if not _APP.fullmatch(folded):
        raise InvalidName(
            "an app's name has up to 64 letters, digits, _ and -, and begins with a letter or digit"
        )
    return folded


def thing_name(text: str) -> str:
    """The name of a server, credential or key, or a login's user name. Raises `InvalidName`."""
    if not _THING.fullmatch(text):
        raise InvalidName(
            "a name has up to 100 letters, digits and . _ @ + -, and begins with a letter or digit"
        )
    return text


def login_name(text: str) -> str:
    """The name or the user name of a credential. Raises `InvalidName`."""
    if text.lower() in _ROUTES:
        raise InvalidName(f"{text!r} is a reserved name")
    return thing_name(text)
