"""what Outlook asks: an address and the form of the answer, out of XML from a stranger

No document type is read, so there are no entities to expand or fetch; depth, number of elements and
length of text are bounded before anything is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from pillarbox.terms.errors import PillarboxError

_MAX_DEPTH: Final = 8
_MAX_ELEMENTS: Final = 32
_MAX_TEXT: Final = 512
_REQUEST: Final = ("Autodiscover", "Request")


class InvalidDiscovery(PillarboxError):
    """The request is no Autodiscover request."""

    code = "malformed_request"


@dataclass(frozen=True, slots=True)
class Discovery:
    """Whose settings are asked for, and in which schema."""

    address: str
    schema: str


def read_discovery(body: bytes) -> Discovery:
    """The request in `body`, whose length the caller has bounded. Raises `InvalidDiscovery`."""
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    # An encoding expat does not know is looked up among Python's, which may refuse it in many ways.
    except (expat.ExpatError, LookupError, ValueError) as wrong:
        raise InvalidDiscovery(detail=str(wrong)) from wrong
    address, schema = reader.texts.get("EMailAddress"), reader.texts.get("AcceptableResponseSchema")
    if not address or not schema:
        raise InvalidDiscovery("The request names no address, or no form of the answer.")
    return Discovery(address.strip(), schema.strip())


class _Reader:
    """Keeps the text of the elements right below ``Autodiscover/Request``."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._elements = 0
        # Names come without their namespace: programs differ in what they declare.
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _doctype(self, *_: object) -> None:
        raise InvalidDiscovery("A request has no document type.")

    def _start(self, name: str, _: object) -> None:
        self._elements += 1
        self._path.append(name.rpartition(" ")[2][:_MAX_TEXT])
        if len(self._path) > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise InvalidDiscovery("A request has not so many elements.")

    def _end(self, _: str) -> None:
        self._path.pop()

    def _characters(self, text: str) -> None:
        if len(self._path) != len(_REQUEST) + 1 or tuple(self._path[:-1]) != _REQUEST:
            return
        name = self._path[-1]
        whole = self.texts.get(name, "") + text
        if len(whole) > _MAX_TEXT:
            raise InvalidDiscovery("A request has no texts of such a length.")
        self.texts[name] = whole
