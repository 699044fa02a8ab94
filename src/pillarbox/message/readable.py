"""what of an address stays readable when a link leads through us

Only decoration: the token in front of it says where the link leads, and software that appends to
links or shortens them changes nothing that matters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_PATH: Final = re.compile(r"https?://[^/?#]*([^?#]*)", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[^A-Za-z0-9/._~%-]+")
MOST_CHARACTERS: Final = 200


@lru_cache(maxsize=2048)
def readable_tail(url: str) -> str:
    """The path of a web address in letters that need no quoting, from its slash on."""
    found = _PATH.match(url)
    path = found[1] if found is not None else ""
    path = _PLAIN.sub("-", path)[:MOST_CHARACTERS]
    cut = path.rfind("%", len(path) - 2)
    return path[:cut] if cut >= 0 and len(path) == MOST_CHARACTERS else path
