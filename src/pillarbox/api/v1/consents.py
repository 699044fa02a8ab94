"""consent to sending from a mailbox: a person is invited, and what comes of it is kept"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import check_json_type, read_shape
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import find_server
from pillarbox.api.paging import read_query
from pillarbox.net.consents import Consents
from pillarbox.net.errors import LoginFailed
from pillarbox.policy.server import Server
from pillarbox.terms.errors import PillarboxError


class Redemption(Struct):
    """Where the browser ended; not needed where a code was entered."""

    address: Annotated[str, Meta(max_length=8192)] = ""


async def invite(call: Call) -> Response:
    """What a person has to do, so that a refresh token is given."""
    server = await _named(call)
    try:
        found = await _consents(call).invite(server)
    except LoginFailed as error:
        raise _told(server, error) from error
    return answer(
        {
            "url": found.url,
            "user_code": found.user_code,
            "expires_in": found.expires_seconds,
            "interval": found.interval_seconds,
        }
    )


async def redeem(call: Call) -> Response:
    """Whether it is done; then the refresh token is stored, and never shown."""
    server = await _named(call)
    body = await call.body()
    address = ""
    if body:
        check_json_type(call.request)
        address = read_shape(body, Redemption).address
    try:
        token, interval_seconds = await _consents(call).redeem(server, address)
    except LoginFailed as error:
        raise _told(server, error) from error
    if token is not None:
        directory = call.rooms.storage.directory
        now = await directory.server(server.id)
        await directory.save_server(
            replace(now, refresh_token=token, password=None, modified_at=call.now_ms)
        )
    return answer({"done": token is not None, "interval": interval_seconds})


async def _named(call: Call) -> Server:
    query = read_query(call.request, "app")
    _, server = await find_server(call, call.part("server"), query.get("app"))
    return server


def _consents(call: Call) -> Consents:
    found = call.rooms.consents
    if found is None:
        raise PillarboxError("Nobody asks for consent here.", code="wrong_state")
    return found


def _told(server: Server, error: LoginFailed) -> PillarboxError:
    return PillarboxError(f"{server.label} {error.words}", code=error.error_code)


ENTRIES: Final = (
    Entry("POST", "/servers/{server}/authorize", Verb.MANAGE, invite),
    Entry("POST", "/servers/{server}/authorize/finish", Verb.MANAGE, redeem),
)
