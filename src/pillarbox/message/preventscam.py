"""is the visible text of a link the link itself

Mail programs warn where the text of a link is an address and the link leads elsewhere; a link that
goes through us would. So such links are left alone where that is wished.
"""

from __future__ import annotations

import re
from typing import Final

_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_INVISIBLE: Final = re.compile("[\\s\u00ad\u200b\u200c\u200d\u2060\ufeff]+")
_DOTTED: Final = re.compile(r"https?://[^/?#.]*+\.", re.IGNORECASE)
"""An address with a host that no text without a dot can say; most texts have none."""


def label_is_link(label: str, url: str) -> bool:
    """Whether a link's text, without its markup, says where the link leads.

    Scheme, one slash at the end and the letter case of the host make no difference; the host alone
    is enough.
    """
    said, meant = _plain(label), _plain(url)
    if not said:
        return False
    return said == meant or said == meant[: len(_host(meant))]


def _plain(address: str) -> str:
    # Without the pattern it is said five times as fast, and nearly all are ASCII.
    text = "".join(address.split()) if address.isascii() else _INVISIBLE.sub("", address)
    found = _SCHEME.match(text)
    if found is not None:
        text = text[found.end() :]
    text = text.removesuffix("/")
    host = _host(text)
    return host.lower() + text[len(host) :]


def _host(address: str) -> str:
    end = _AUTHORITY_END.search(address)
    return address if end is None else address[: end.start()]
