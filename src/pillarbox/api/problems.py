"""the one door from errors to answers: RFC 9457 problem details out of the catalogue"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
from starlette.responses import Response

from pillarbox.observe.log import logger
from pillarbox.terms.catalogue import CATALOGUE, Problem
from pillarbox.terms.errors import PillarboxError, Trouble

_log = logger("api")

MEDIA_TYPE: Final = "application/problem+json"
SHOWN_MISTAKES: Final = 50
_SERVER_FAULT: Final = 500


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a request; `pointer` is an RFC 6901 pointer into its body."""

    pointer: str
    detail: str
    code: str = "invalid_value"


class RequestError(PillarboxError):
    """The request cannot be carried out."""

    code: ClassVar[str] = "malformed_request"

    def __init__(
        self,
        sentence: str | None = None,
        *,
        status: int | None = None,
        code: str | None = None,
        fix: str | None = None,
        detail: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """As the root; `status` where it is not the catalogue's, `headers` go with the answer."""
        super().__init__(sentence, detail=detail, fix=fix, code=code)
        self.http_status = status
        self.headers = headers or {}


class InvalidRequest(RequestError):
    """Some of what was given cannot be used."""

    code: ClassVar[str] = "invalid_value"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """`mistakes` has all of them, in the order of the request."""
        first = mistakes[0]
        place = f"{first.pointer[1:].replace('/', '.')}: " if first.pointer else ""
        more = len(mistakes) - 1
        rest = f" (and {more} more)" if more else ""
        only = {mistake.code for mistake in mistakes}
        super().__init__(
            f"{place}{first.detail}{rest}", code=only.pop() if len(only) == 1 else None
        )
        self.mistakes = tuple(mistakes[:SHOWN_MISTAKES])


class KeyNeeded(RequestError):
    """This needs a key, and none was shown."""

    code: ClassVar[str] = "auth_required"


class KeyRefused(RequestError):
    """The key shown was not accepted."""

    code: ClassVar[str] = "auth_failed"


class NotPermitted(RequestError):
    """This key may not do that."""

    code: ClassVar[str] = "permission_denied"


class NothingThere(RequestError):
    """There is no such thing."""

    code: ClassVar[str] = "not_found"


def entry_of(error: PillarboxError) -> Problem:
    """The catalogue's entry for an error; that of an internal one where there is none."""
    return CATALOGUE.get(error.error_code, CATALOGUE["internal"])


def status_of(error: PillarboxError) -> int:
    """The HTTP status of an error."""
    own = getattr(error, "http_status", None)
    return own if isinstance(own, int) else entry_of(error).http_status


def headers_of(error: PillarboxError) -> dict[str, str]:
    """The header fields an error brings with it."""
    headers = dict(getattr(error, "headers", {}))
    if isinstance(error, Trouble):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds or 1)))
    if status_of(error) == CATALOGUE["auth_required"].http_status:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="pillarbox"')
    return headers


def document_of(error: PillarboxError, request_id: str) -> dict[str, Any]:
    """An error as the problem document a program reads."""
    entry = entry_of(error)
    document: dict[str, Any] = {
        "type": f"urn:pillarbox:problem:{entry.code}",
        "title": entry.title,
        "status": status_of(error),
        "detail": error.sentence,
        "code": entry.code,
        "fix": error.fix or entry.fix,
        "request_id": request_id,
    }
    mistakes = error.mistakes if isinstance(error, InvalidRequest) else ()
    if mistakes:
        document["errors"] = [
            {"pointer": each.pointer, "code": each.code, "detail": each.detail} for each in mistakes
        ]
    return document


def known(error: Exception) -> PillarboxError:
    """`error` itself where it is one of ours; anything else has become an internal one."""
    return (
        error
        if isinstance(error, PillarboxError)
        else PillarboxError("Something went wrong inside Pillarbox.", code="internal")
    )


def note(error: Exception, request_id: str) -> None:
    """What the public sentence leaves out goes to the log, under the number the caller got."""
    if not isinstance(error, PillarboxError):
        _log.error("request.broke", request=request_id, exc_info=error)
    elif status_of(error) >= _SERVER_FAULT:
        _log.warning("request.failed", request=request_id, reason=str(error))


def answer_to(error: Exception, request_id: str) -> Response:
    """The answer an error deserves, noted in the log where it is ours to mend."""
    note(error, request_id)
    ours = known(error)
    return Response(
        msgspec.json.encode(document_of(ours, request_id)),
        status_of(ours),
        headers_of(ours),
        MEDIA_TYPE,
    )
