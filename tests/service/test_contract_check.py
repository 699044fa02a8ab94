"""the contract about checking a server, asked by a program that posts forms"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pillarbox.policy.directory import Mode
from tests.doubles.bad_server import BadServer
from tests.doubles.form_client import Reply
from tests.doubles.ports import free_port
from tests.doubles.script import Script, Stage, say
from tests.fix_server_api import EMAIL, Desk

CHECK = "/private/smtps/check"


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    """The server that is checked."""
    async with BadServer() as server:
        yield server


async def checked(desk: Desk, idsmtp: str, name: str = "idapp") -> Reply:
    return await desk.client.post(CHECK, {name: idsmtp})


@pytest.mark.parametrize("testemail", ["try@example.org", None])
async def test_c46_c48_a_check_sends_one_mail_to_the_test_address_and_says_nothing(
    desk: Desk, sink: BadServer, testemail: str | None
) -> None:
    assert (await desk.save_app(idapp=desk.idapp, testemail=testemail)).status == 200
    await desk.running.set_mode(Mode.SANDBOX)  # a check is asked for, and not kept here
    if testemail is not None:
        assert (await desk.save_app(idapp=desk.idapp, testemail=testemail)).status == 200
    made = await desk.way(sink.port)
    reply = await checked(desk, made["_id"])
    assert (reply.status, reply.body) == (200, b"")
    assert [message.accepted_recipients for message in sink.delivered] == [(testemail or EMAIL,)]
    assert (await desk.found(made["_id"]))["status"] == "A"


async def test_c47_a_check_takes_the_id_under_its_other_name_as_well(
    desk: Desk, sink: BadServer
) -> None:
    made = await desk.way(sink.port)
    assert (await checked(desk, made["_id"], "idsmtp")).status == 200
    reply = await desk.client.post(CHECK, {"idsmtp": made["_id"], "idapp": desk.idapp})
    assert reply.status == 200
    assert len(sink.delivered) == 2


async def test_c50_a_check_that_fails_says_why_in_plain_text(desk: Desk) -> None:
    refusing = Script().on(Stage.BANNER, say(554, "no service for you"))
    async with BadServer(refusing) as server:
        for port in (server.port, free_port()):
            made = await desk.way(port)
            reply = await checked(desk, made["_id"])
            assert (reply.status, reply.media_type) == (406, "text/plain")
            assert "127.0.0.1" in reply.text and len(reply.text) > 20
            assert (await desk.found(made["_id"]))["status"] == "D"


async def test_a_check_enables_and_disables_in_turn(desk: Desk) -> None:
    async with BadServer(Script().on(Stage.MAIL, say(550, "5.7.1 not you"), times=1)) as server:
        made = await desk.way(server.port)
        for status, standing in ((406, "D"), (200, "A")):
            assert (await checked(desk, made["_id"])).status == status
            assert (await desk.found(made["_id"]))["status"] == standing
