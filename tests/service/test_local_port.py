"""a plain port of this machine: whose mail it is is asked anew whenever something has changed"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from tests.e2e.porch import BOTH, HELLO, called, hand_in
from tests.fix_house import Houses, Running

LOCAL = replace(BOTH, local_ports=(0,), local_credential="first-app")
LETTER = b"From: ann@example.com\r\n\r\nGood morning.\r\n"


async def handed_in(running: Running) -> bytes:
    """What a fresh connection hears at the end of its message."""
    async with called(running, PortKind.LOCAL) as client:
        await client.say(HELLO)
        return await hand_in(client, LETTER)


async def asked(running: Running) -> bytes:
    """What a fresh connection hears to MAIL."""
    async with called(running, PortKind.LOCAL) as client:
        await client.say(HELLO)
        return await client.say(b"MAIL FROM:<ann@example.com>\r\n")


async def test_a_login_that_is_switched_off_hands_in_nothing_on_a_local_port(
    houses: Houses,
) -> None:
    running = await houses.start(Mode.SANDBOX, smtp=LOCAL)
    directory = running.house.storage.directory
    (credential,) = await directory.credentials()
    for _ in range(2):
        assert (await handed_in(running)).startswith(b"250")
    await directory.save_credential(replace(credential, active=False))
    for _ in range(2):
        assert not (await asked(running)).startswith(b"250")
    await directory.save_credential(replace(credential, active=True))
    for _ in range(2):
        assert (await handed_in(running)).startswith(b"250")


async def test_what_a_login_may_do_is_seen_by_the_next_connection_to_a_local_port(
    houses: Houses,
) -> None:
    running = await houses.start(Mode.SANDBOX, smtp=LOCAL)
    directory = running.house.storage.directory
    (credential,) = await directory.credentials()
    assert (await handed_in(running)).startswith(b"250")
    await directory.save_credential(replace(credential, allowed_senders=("*@example.org",)))
    assert (await asked(running)).startswith(b"550")


async def test_what_is_refused_on_a_local_port_is_noted_under_its_login(houses: Houses) -> None:
    running = await houses.start(Mode.SANDBOX, smtp=LOCAL)
    directory = running.house.storage.directory
    (credential,) = await directory.credentials()
    await directory.save_credential(replace(credential, allowed_senders=("*@example.org",)))
    for _ in range(2):
        assert (await asked(running)).startswith(b"550")
    (kept,) = await running.house.storage.problems.newest(10)
    assert (kept.problem.username, kept.count) == (credential.name, 2)
