"""trace fields"""

from __future__ import annotations

import re
from typing import Final

from pillarbox.message.date import format_date
from pillarbox.message.facts import Origin

_MAX_HELLO: Final = 255
_MAX_RECIPIENT: Final = 256
_NOT_IN_HELLO: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_NOT_IN_COMMENT: Final = re.compile(r"[^A-Za-z0-9. _/+-]")
_BARE_RECIPIENT: Final = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")


def received_field(
    origin: Origin,
    hostname: str,
    id_text: str,
    recipient: str | None,
    now_ms: int,
    *,
    shows_address: bool = True,
) -> bytes:
    """A Received field with its line end, to be put above everything else (RFC 5321 §4.4).

    What the peer said of itself is reduced to the characters of a host name. `recipient` is given
    only where there is one alone: a Received field must not tell recipients of each other
    (RFC 5321 §7.6); one that would need quoting here is left out. Unless it `shows_address`, it
    says nothing of where the message was handed in.
    """
    lines = [f"by {hostname}{_with(origin)} id {id_text}"]
    if origin.address and shows_address:
        lines.insert(0, _from(origin))
    if recipient and len(recipient) <= _MAX_RECIPIENT and _BARE_RECIPIENT.fullmatch(recipient):
        lines.append(f"for <{recipient}>")
    text = "Received: " + "\r\n\t".join(lines) + ";\r\n\t" + format_date(now_ms) + "\r\n"
    return text.encode("ascii", "replace")


def _from(origin: Origin) -> str:
    address = origin.address.partition("%")[0]
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    hello = _NOT_IN_HELLO.sub("?", origin.hello[:_MAX_HELLO])
    channel = f"\r\n\t(using {_NOT_IN_COMMENT.sub('?', origin.tls)})" if origin.tls else ""
    return f"from {hello or literal} ({literal}){channel}"


def _with(origin: Origin) -> str:
    return f" with {origin.protocol}" if origin.protocol else ""
