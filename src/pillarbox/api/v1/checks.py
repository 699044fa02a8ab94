"""checks of servers, and the presets they are set up from"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct
from starlette.responses import Response, StreamingResponse

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check, check_json_type, read_shape
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.fields import Names, address
from pillarbox.api.finding import find_server
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import known, note
from pillarbox.api.test_mail import with_test_address
from pillarbox.policy.checkup import Report, Step
from pillarbox.policy.presets import Preset
from pillarbox.policy.routing import ACTIVE
from pillarbox.policy.server import Server
from pillarbox.services.delivery.trail import StepTold

_LINES: Final = "application/x-ndjson"


class CheckWish(Struct, rename={"sender": "from"}):
    """How a server is checked: with a test mail or without, and as whom."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"sender": address}

    mail: bool = True
    sender: Names = ""


def report_view(report: Report, server: Server) -> dict[str, Any]:
    """A report as programs see it."""
    return {
        "server": server.name,
        "ok": report.ok,
        "sentence": report.sentence,
        "status": report.status,
        "enabled": report.status == ACTIVE,
        "changed": report.changed,
        "mail": report.mail,
        "from": report.sender,
        "to": report.recipient,
        "offers": report.offers,
        "steps": [_step_view(each) for each in report.steps],
    }


def preset_view(preset: Preset) -> dict[str, Any]:
    """A preset as programs see it."""
    return msgspec.structs.asdict(preset)


async def check_server(call: Call) -> Response:
    """Try a server out. The answer is 200 whatever comes of it: that stands in it.

    For whoever accepts lines of JSON there is one for each step when it was made, then the report.
    """
    query = read_query(call.request, "app")
    app, server = await find_server(call, call.part("server"), query.get("app"))
    app = await with_test_address(call.rooms, app)
    wish = await _wish(call)

    async def check(told: StepTold | None = None) -> dict[str, Any]:
        report = await call.rooms.checker.check(
            server, app, mail=wish.mail, sender=wish.sender or None, told=told
        )
        return report_view(report, server)

    if _LINES in call.request.headers.get("accept", ""):
        return StreamingResponse(_lines(check), media_type=_LINES)
    return answer(await check())


async def list_presets(call: Call) -> Response:
    """The services that are known, in the order in which they are offered."""
    read_query(call.request, "limit")
    presets = call.rooms.presets().by_name.values()
    return answer(page([preset_view(each) for each in presets]))


async def _lines(
    check: Callable[[StepTold], Awaitable[dict[str, Any]]],
) -> AsyncIterator[bytes]:
    """A line of JSON for each step when it was made, and one for the report."""
    made: asyncio.Queue[Step | None] = asyncio.Queue()
    checking = asyncio.ensure_future(check(made.put_nowait))
    checking.add_done_callback(lambda _: made.put_nowait(None))
    try:
        while (step := await made.get()) is not None:
            yield msgspec.json.encode({"step": _step_view(step)}) + b"\n"
        yield msgspec.json.encode({"report": await checking}) + b"\n"
    except Exception as error:
        # The status went out long ago; what is left is to say it here.
        note(error, "")
        yield msgspec.json.encode({"error": known(error).sentence}) + b"\n"
    finally:
        checking.cancel()  # whoever asked has gone


async def _wish(call: Call) -> CheckWish:
    """What was asked for; a request without a body asks for the usual."""
    body = await call.body()
    if not body:
        return CheckWish()
    check_json_type(call.request)
    return read_shape(body, CheckWish)


def _step_view(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "result": step.result,
        "words": step.words,
        "milliseconds": step.milliseconds,
        "why": step.why,
        "fix": step.fix,
    }


ENTRIES: Final = (
    Entry("GET", "/presets", Verb.READ, list_presets),
    Entry("POST", "/servers/{server}/check", Verb.MANAGE, check_server),
)
