"""/api/v2/{service} and its neighbours, to the letter of the contract"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api import calls
from pillarbox.api.auth import LONGEST_KEY, OWNER, Caller, Verb, submitter_of
from pillarbox.api.bodies import media_type, read_body
from pillarbox.api.compat.email_request import Fields, read_draft, read_fields
from pillarbox.api.compat.verdict import NotTaken, count_taken
from pillarbox.api.draft import IN_A_THREAD_BYTES, Draft, pack
from pillarbox.api.parcel import hand_over, noting_refusals
from pillarbox.api.problems import (
    KeyNeeded,
    KeyRefused,
    NothingThere,
    NotPermitted,
    RequestError,
    headers_of,
    known,
    note,
    status_of,
)
from pillarbox.api.rooms import Rooms
from pillarbox.handover.receipt import Receipt
from pillarbox.policy.directory import App, Key, Mode
from pillarbox.services.submission.authenticate import hash_secret
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.secret import Secret

KEY_HEADER: Final = "x-dreamfactory-api-key"

_VERSION: Final = re.compile(r"v[0-9][0-9.]*", re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 64
_UNPROCESSABLE: Final = 422
_BAD_REQUEST: Final = 400

Endpoint = Callable[[Request], Awaitable[Response]]


def endpoints(rooms: Rooms, *, owner: bool) -> list[tuple[str, Endpoint]]:
    """The paths of the service, each for every method."""
    service = EmailService(rooms, owner=owner)
    return [
        ("/api/{version}/{service}", service.answer),
        ("/api/{version}/{service}/", service.answer),
    ]


class EmailService:
    """One message with each POST, answered once its fate is known."""

    def __init__(self, rooms: Rooms, *, owner: bool) -> None:
        """`owner`: nobody needs a key."""
        self._rooms = rooms
        self._owner = owner

    async def answer(self, request: Request) -> Response:
        """``{"count": n}``, or a `PillarboxError` that `answer_to` makes an answer of."""
        name = str(request.path_params["service"])
        if not _VERSION.fullmatch(str(request.path_params["version"])):
            raise NothingThere(f"There is nothing at {request.url.path[:_SHOWN_CHARACTERS]!r}.")
        shown = _key_shown(request)
        body = b""
        if request.method == "POST":
            body = await self._body(request, trusted=self._owner or shown is not None)
        fields = _fields_for_key(body, request) if shown is None else None
        caller = await self._caller(shown or (fields.key if fields else ""))
        app = await self._service(caller, name)
        if request.method != "POST":
            raise RequestError(
                f"{request.method[:20]} requests without a resource are not currently supported"
                f" by the '{app.name}' service."
            )
        self._permit(caller, app)
        return await self._send(request, caller, app, fields, body)

    async def _body(self, request: Request, *, trusted: bool) -> bytes:
        config = self._rooms.config
        limit = config.max_body_mb * 1024 if trusted else config.max_small_body_kb
        return await read_body(request, limit=limit * 1024, seconds=config.body_seconds)

    async def _caller(self, shown: str) -> Caller:
        """Raises `KeyNeeded`, `KeyRefused`, or `NotPermitted` for a key that was switched off."""
        if not shown:
            if self._owner:
                return OWNER
            raise KeyNeeded("No API key was given.", fix="Send it as X-DreamFactory-API-Key.")
        key = await self._key(shown)
        if key is None:
            raise KeyRefused("The API key is not known.")
        if not key.active:
            raise NotPermitted("The API key is not active.", code="credential_disabled")
        return Caller(key)

    async def _key(self, shown: str) -> Key | None:
        if len(shown) > LONGEST_KEY:
            return None
        key = await self._rooms.authenticator.key(shown)
        if key is not None:
            return key
        return await self._rooms.storage.directory.key_with_hash(hash_secret(Secret(shown)))

    async def _service(self, caller: Caller, name: str) -> App:
        """Raises `NothingThere`, and `NotPermitted` for a key of another app."""
        try:
            app = await self._rooms.storage.directory.app_named(name)
        except NotFound:
            raise _no_service(name) from None
        if caller.key is not None and caller.key.account != app.account:
            raise _no_service(name)
        if not caller.sees(app):
            raise _forbidden(app)
        return app

    def _permit(self, caller: Caller, app: App) -> None:
        if not app.active:
            raise NotPermitted(f"Service {app.name} is deactivated.")
        if not caller.may(Verb.SEND):
            raise _forbidden(app)

    async def _send(
        self, request: Request, caller: Caller, app: App, fields: Fields | None, body: bytes
    ) -> Response:
        with noting_refusals(self._rooms, caller):
            receipt, answer_by = await self._hand_over(request, caller, app, fields, body)
        return calls.answer({"count": await count_taken(self._rooms, app, receipt, answer_by)})

    async def _hand_over(
        self, request: Request, caller: Caller, app: App, fields: Fields | None, body: bytes
    ) -> tuple[Receipt, int | None]:
        """The receipt, and until when the caller waits for an outcome, if at all."""

        def read() -> tuple[Fields, Draft]:
            found = fields or read_fields(body, media_type(request))
            return found, read_draft(found, app, limit)

        rooms = self._rooms
        limit = rooms.config.max_message_mb * 1024 * 1024
        said, draft = await asyncio.to_thread(read) if len(body) > IN_A_THREAD_BYTES else read()
        submitter = await submitter_of(rooms, caller, app)
        answer_by = None
        # What is kept or held may wait for days, and must not end because nobody waits for it.
        if submitter.mode is Mode.LIVE and not said.at_once:
            answer_by = rooms.clock.now_ms() + int(rooms.config.answer_seconds * 1000)
        parcel = await pack(rooms, draft)
        return await hand_over(rooms, request, submitter, parcel, answer_by=answer_by), answer_by


def answer_to(error: Exception, request_id: str) -> Response:
    """An error in the envelope that clients of the service know."""
    note(error, request_id)
    ours = known(error)
    status = status_of(ours)
    if status == _UNPROCESSABLE:
        status = _BAD_REQUEST
    document: dict[str, Any] = {
        "error": {
            "code": ours.reply_code if isinstance(ours, NotTaken) else status,
            "context": None,
            # As the original does, whose clients may put it into a page.
            "message": html.escape(ours.sentence, quote=False).replace('"', "&quot;"),
            "status_code": status,
        }
    }
    headers = headers_of(ours)
    headers.pop("WWW-Authenticate", None)
    return Response(msgspec.json.encode(document), status, headers, "application/json")


def _key_shown(request: Request) -> str | None:
    """The key of the query, else of the header; None where there is neither."""
    shown = request.query_params.get("api_key") or request.headers.get(KEY_HEADER, "")
    return shown.strip() or None


def _fields_for_key(body: bytes, request: Request) -> Fields | None:
    """The fields where a key may be among them; a body that cannot be read holds none."""
    try:
        return read_fields(body, media_type(request)) if body else None
    except RequestError:
        return None


def _no_service(name: str) -> NothingThere:
    return NothingThere(f"Could not find a service for {name[:_SHOWN_CHARACTERS]}")


def _forbidden(app: App) -> NotPermitted:
    return NotPermitted(
        f"Access Forbidden. POST access to service '{app.name}' is not allowed by this user's role."
    )
