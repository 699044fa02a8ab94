"""List-Unsubscribe and one-click (RFC 2369 §3.2, RFC 8058): the fields, and the answer they lead to"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pillarbox.message.bodies import Edit
from pillarbox.message.header import Field, field_line, split_content

TAIL: Final = "/unsubscribe"
"""What is readable of the address."""
_FIELD: Final = b"list-unsubscribe"
_POST_FIELD: Final = b"list-unsubscribe-post"
_KEY, _VALUE = b"List-Unsubscribe", b"One-Click"
_PAIR: Final = _KEY + b"=" + _VALUE
"""The one pair, as it stands in the field and in the request (RFC 8058 §3.1, §3.2)."""
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME: Final = re.compile(
    rb'\r?\ncontent-disposition:[^\r\n]*;\s*name="?([^";\r\n]*)', re.IGNORECASE
)
_BLANK: Final = re.compile(rb"\r?\n\r?\n")


def is_unsubscribable(fields: Sequence[Field]) -> bool:
    """Whether the message says itself how to unsubscribe."""
    return any(field.name.lower() == _FIELD for field in fields)


def unsubscribe_edit(content: bytes, fields: Sequence[Field], address: str) -> Edit | None:
    """The fields that lead to `address`, an https one, behind all others of the header.

    None where the message has one of its own, whatever stands in it.
    """
    if is_unsubscribable(fields):
        return None
    written = field_line("List-Unsubscribe", b"<%s>" % address.encode("ascii"))
    if all(field.name.lower() != _POST_FIELD for field in fields):
        written += field_line("List-Unsubscribe-Post", _PAIR)
    header, _ = split_content(content)
    at = len(header)
    if header == b"\r\n" or header.endswith(b"\r\n\r\n"):
        at -= 2
    elif header and not header.endswith(b"\r\n"):
        written = b"\r\n" + written
    return at, at, written


def is_one_click(content_type: str, body: bytes) -> bool:
    """Whether a request says exactly what RFC 8058 §3.2 has it say, in one of the two forms of forms.

    The type is not asked for where the body is the plain pair: some send none.
    """
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().lstrip().startswith("multipart/form-data"):
        return body.strip() == _PAIR
    mark = b"--" + (found[1] or found[2]).encode("ascii", "replace")
    pairs = []
    for part in body.split(mark)[1:]:
        if part.startswith(b"--"):
            break
        head, *rest = _BLANK.split(part, maxsplit=1)
        name = _NAME.search(head)
        if name is None or not rest:
            return False
        pairs.append((name[1], rest[0].removesuffix(b"\n").removesuffix(b"\r")))
    return pairs == [(_KEY, _VALUE)]
