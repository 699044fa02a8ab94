"""how the server API answers: bare sentences, JSON, ids in hex, times without a zone"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from pillarbox.api.problems import RequestError, headers_of, known, note, status_of
from pillarbox.terms.clock import from_ms
from pillarbox.terms.ids import ObjectId

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
_SPECIFIC: Final = 406
_FAULT: Final = 500
_AS: Final = {_UNPROCESSABLE: _BAD_REQUEST, _NOT_FOUND: _SPECIFIC, _CONFLICT: _SPECIFIC}


class Specific(RequestError):
    """The call cannot be carried out, for a reason its description names."""

    def __init__(self, sentence: str) -> None:
        """The sentence is the whole body, and clients compare it."""
        super().__init__(sentence, status=_SPECIFIC, code="not_found")


class NoSuchPath(RequestError):
    """There is no such call here."""

    def __init__(self) -> None:
        super().__init__("There is no such call here.", code="usage", status=_NOT_FOUND)


def server_not_found() -> Specific:
    """For an id that no server has that the caller sees."""
    return Specific("SMTP not found")


def app_not_found() -> Specific:
    """For an id that no app has that the caller sees."""
    return Specific("App not found")


def answer(document: Any) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(document), media_type="application/json")


def done() -> Response:
    """200 without a body."""
    return Response(b"")


def answer_to(error: Exception, request_id: str) -> Response:
    """An error as its status and one sentence in plain text."""
    note(error, request_id)
    ours = known(error)
    status = status_of(ours)
    if not isinstance(ours, NoSuchPath):
        status = _AS.get(status, min(status, _FAULT))
    return Response(ours.sentence, status, headers_of(ours), "text/plain")


def hex_id(value: ObjectId) -> str:
    """24 digits."""
    return value.hex()


def saved_time(at_ms: int) -> str:
    """As the answer to a save writes it: to nine digits behind the second."""
    return from_ms(at_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "000000"


def kept_time(at_ms: int) -> str:
    """As it is read back: to the millisecond, without zeros at the end."""
    text = from_ms(at_ms).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text.rstrip("0").removesuffix(".") if "." in text else text
