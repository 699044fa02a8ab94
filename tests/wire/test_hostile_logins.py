"""logins that are none, and mail of strangers: refused on every port, and never half a success

The malformed ones are refused before anybody looks at a name; after each of them the right login
still works on the same connection, or the connection is over.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from pillarbox.net.smtp_ports import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.policy.problems import Problem, ProblemKind
from pillarbox.storage.interface.messages import MessageFilter
from tests.e2e.porch import (
    BOTH,
    ENVELOPE,
    HELLO,
    PROTECTED,
    called,
    codes,
    converse,
    hand_in,
    logged_in,
    plain_login,
    protected,
    right_login,
)
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

HEAD = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
EVERY = replace(BOTH, local_ports=(0,), max_errors=40)


@pytest.fixture
async def house(houses: Houses) -> Running:
    """With a port of every kind; each wants a login."""
    return await houses.start(Mode.SANDBOX, smtp=EVERY)


def plain(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return b"AUTH PLAIN " + b64encode(data)


def counted(house: Running) -> dict[tuple[str, ...], int]:
    """Logins that were looked at, by result."""
    return {key: int(value) for key, value in dict(house.house.metrics.logins).items()}


async def nothing_taken(house: Running) -> bool:
    return not (await house.house.storage.messages.newest(MessageFilter(), 1)).messages


# --- malformed ------------------------------------------------------------------------------------

MALFORMED: dict[str, tuple[list[bytes], bytes]] = {
    # What the client says line by line, and how the last answer begins.
    "no mechanism": ([b"AUTH"], b"501 5.5.4 "),
    "unknown mechanism": ([b"AUTH FOO"], b"504 5.5.4 "),
    "one with a challenge": ([b"AUTH CRAM-MD5"], b"504 5.5.4 "),
    "a mechanism of another": ([b"AUTH PLAINER AGEAYg=="], b"504 5.5.4 "),
    "an empty response": ([b"AUTH PLAIN ="], b"501 5.5.2 "),
    "only padding": ([b"AUTH PLAIN ===="], b"501 5.5.2 "),
    "no base64": ([b"AUTH PLAIN !!!!"], b"501 5.5.2 "),
    "base64 with a blank": ([b"AUTH PLAIN AGEA Yg=="], b"501 5.5.2 "),
    "base64 cut short": ([b"AUTH PLAIN AGEAY"], b"501 5.5.2 "),
    "base64 and more": ([b"AUTH PLAIN AGEAYg==x"], b"501 5.5.2 "),
    "not ASCII": (["AUTH PLAIN ÄGEAYg==".encode()], b"501 5.5.2 "),
    "no NUL": ([plain("userpassword")], b"501 5.5.2 "),
    "one NUL": ([plain("user\0password")], b"501 5.5.2 "),
    "three NULs": ([plain("\0user\0pass\0word")], b"501 5.5.2 "),
    "many NULs": ([plain("\0" * 300)], b"501 5.5.2 "),
    "no name": ([plain("\0\0password")], b"501 5.5.2 "),
    "not UTF-8": ([plain(b"\0us\xffer\0password")], b"501 5.5.2 "),
    "a surrogate": ([plain(b"\0us\xed\xa0\x80\0password")], b"501 5.5.2 "),
    "PLAIN given up": ([b"AUTH PLAIN", b"*"], b"501 5.7.0 "),
    "PLAIN in two steps, none": ([b"AUTH PLAIN", b""], b"501 5.5.2 "),
    "LOGIN given up": ([b"AUTH LOGIN", b"*"], b"501 5.7.0 "),
    "LOGIN given up at the password": ([b"AUTH LOGIN", b"dXNlcg==", b"*"], b"501 5.7.0 "),
    "LOGIN without a name": ([b"AUTH LOGIN", b""], b"501 5.5.2 "),
    "LOGIN with an empty name": ([b"AUTH LOGIN ="], b"501 5.5.2 "),
    "LOGIN with a NUL in the name": ([b"AUTH LOGIN", b"dQBz"], b"501 5.5.2 "),
    "LOGIN with a NUL in the password": ([b"AUTH LOGIN", b"dXNlcg==", b"cABz"], b"501 5.5.2 "),
    "LOGIN with no base64": ([b"AUTH LOGIN", b"user"], b"501 5.5.2 "),
    "a command in place of a response": ([b"AUTH LOGIN", b"MAIL FROM:<>"], b"501 5.5.2 "),
    "a NUL in a response": ([b"AUTH PLAIN", b"AGEA\0Yg=="], b"501 5.5.2 "),
}  # fmt: skip


async def say_all(client: Typist, lines: list[bytes]) -> bytes:
    """The answer to the last of them; those before it ask to go on."""
    said = b""
    for number, line in enumerate(lines):
        said = await client.say(line + b"\r\n")
        assert number == len(lines) - 1 or said.startswith(b"334 "), said
    return said


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_malformed_login_is_refused_unseen_and_the_right_one_still_works(
    house: Running, kind: PortKind
) -> None:
    for name, (lines, answer) in MALFORMED.items():
        async with protected(house, kind) as client:
            said = await say_all(client, lines)
            assert said.startswith(answer), (name, said)
            assert not counted(house).get(("smtp", "refused")), name
            assert (await client.say(right_login(house))).startswith(b"235 2.7.0 "), name
    assert counted(house) == {("smtp", "accepted"): len(MALFORMED)}


async def test_malformed_logins_without_end_are_sent_away(house: Running) -> None:
    async with protected(house, PortKind.TLS) as client:
        said = await converse(client, b"AUTH PLAIN ====\r\n" * 1000)
    assert codes(said) == [501] * 40 + [421]


@pytest.mark.parametrize("kind", PROTECTED)
async def test_wrong_name_and_wrong_password_and_another_s_identity_look_the_same(
    house: Running, kind: PortKind
) -> None:
    assert house.first is not None
    username, password = house.first.username, house.first.password.reveal()
    wrong = {
        "a wrong password": (username, f"\0{username}\0wrong"),
        "an empty one": (username, f"\0{username}\0"),
        "an unknown name": ("nobody", f"\0nobody\0{password}"),
        "the name in capitals": (username.upper(), f"\0{username.upper()}\0{password}"),
        "a blank too many": (username, f"\0{username}\0{password} "),
        "a name composed otherwise": (f"{username}\u0301", f"\0{username}\u0301\0{password}"),
        "to act as somebody else": (username, f"root\0{username}\0{password}"),
        "a long password": (username, f"\0{username}\0{'x' * 9000}"),
    }
    for number, (name, (said_to_be, login)) in enumerate(wrong.items(), 2):
        # From elsewhere each time: an address that fails often is answered slowly.
        address = f"127.0.0.{number}"
        reference = Problem(ProblemKind.WRONG_PASSWORD, address, username=said_to_be).reference
        async with protected(house, kind, address=address) as client:
            said = (await client.say(plain(login) + b"\r\n")).decode()
            assert said == (f"535 5.7.8 Username or password not accepted (ref {reference})\r\n"), (
                name
            )
            assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"530"), name
    async with protected(house, kind) as client:
        acting_as_oneself = plain(f"{username}\0{username}\0{password}")
        assert (await client.say(acting_as_oneself + b"\r\n")).startswith(b"235")


async def test_a_response_of_the_greatest_length_is_read_and_a_longer_one_ends_the_session(
    house: Running,
) -> None:
    room = 12_288 - len(b"AUTH PLAIN \r\n")
    longest = plain(b"\0nobody\0".ljust(room // 4 * 3, b"x"))
    assert 12_288 - 4 <= len(longest) + 2 <= 12_288
    async with protected(house, PortKind.TLS) as client:
        assert (await client.say(longest + b"\r\n")).startswith(b"535 ")
        assert (await client.say(b"AUTH PLAIN\r\n")).startswith(b"334")
        assert (await client.say(longest.split()[2] + b"\r\n")).startswith(b"535 ")
        assert (await client.say(right_login(house))).startswith(b"235")
    for too_long in (longest + b"AAAA", b"AUTH PLAIN " + b"A" * 13_000_000):
        async with protected(house, PortKind.TLS) as client:
            said = await converse(client, too_long + b"\r\n")
            assert codes(said) == [500] and said.startswith(b"500 5.5.6 ")


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_login_comes_once_and_not_inside_a_transaction(
    house: Running, kind: PortKind
) -> None:
    async with logged_in(house, kind) as client:
        assert b"AUTH" not in await client.say(HELLO)
        assert (await client.say(right_login(house))).startswith(b"503 5.5.1 ")
        assert (await client.say(plain_login("nobody", "x"))).startswith(b"503 5.5.1 ")
        assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"250")
        assert (await client.say(right_login(house))).startswith(b"503 5.5.1 ")
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"250")
        assert (await client.say(b"DATA\r\n")).startswith(b"354")
        assert (await client.say(HEAD + b".\r\n")).startswith(b"250")
    assert counted(house) == {("smtp", "accepted"): 1}


# --- open relay -----------------------------------------------------------------------------------

RETURN_PATHS = (
    b"<>", b"<ann@example.com>", b"<ann@relay.test>", b"<postmaster@relay.test>", b"<@a,@b:c@d>",
    b"<ann@[127.0.0.1]>", b"<ann@localhost>", b"<first-app>", b"<ann@example.com> AUTH=<>",
    b"<ann@example.com> AUTH=first-app", b"<ann@example.com> SIZE=100 BODY=8BITMIME",
)  # fmt: skip
RECIPIENTS = (
    b"<victim@example.net>", b"<victim>", b'<"victim@example.net"@relay.test>',
    b'<"victim%example.net"@relay.test>', b"<victim%example.net@relay.test>",
    b"<victim%example.net@[127.0.0.1]>", b"<@relay.test:victim@example.net>",
    b"<@[127.0.0.1]:victim@example.net>", b"<example.net!victim>", b"<example.net!victim@relay.test>",
    b"<victim@example.net@relay.test>", b"<victim@[127.0.0.1]>", b"<victim@[IPv6:::1]>",
    b"<postmaster>", b"<postmaster@relay.test>", b'<"victim@example.net">', b"<victim@relay.test>",
    b'<"victim"@example.net>', b"victim@example.net", b"<victim@example.net>\0@relay.test",
)  # fmt: skip


async def offers(house: Running, client: Typist, *, tls: bool) -> None:
    """Every form, in steps and all at once; nothing is taken."""
    refusals = (501, 530, 555) if tls else (501, 530, 538, 555)
    for number, return_path in enumerate(RETURN_PATHS):
        said = await client.say(b"MAIL FROM:" + return_path + b"\r\n")
        assert codes(said)[0] in refusals, (return_path, said)
        recipient = RECIPIENTS[number % len(RECIPIENTS)]
        assert codes(await client.say(b"RCPT TO:" + recipient + b"\r\n"))[0] in (501, 503)
        assert codes(await client.say(b"DATA\r\n"))[0] == 503
        assert codes(await client.say(b"RSET\r\n")) == [250]


def at_once(recipient: bytes) -> bytes:
    """All of a transaction in one write, content included."""
    return b"MAIL FROM:<>\r\nRCPT TO:" + recipient + b"\r\nDATA\r\n" + HEAD + b".\r\n" + b"QUIT\r\n"


@pytest.mark.parametrize("kind", PortKind)
async def test_strangers_relay_nothing_on_any_port_in_any_form(
    houses: Houses, kind: PortKind
) -> None:
    house = await houses.start(Mode.SANDBOX, smtp=replace(EVERY, max_errors=10_000))
    async with called(house, kind) as client:
        for greeting in (b"HELO client.example.com\r\n", HELLO):
            await client.say(greeting)
            await offers(house, client, tls=False)
    if kind is not PortKind.LOCAL:
        async with protected(house, kind) as client:
            await offers(house, client, tls=True)
    for recipient in RECIPIENTS:
        async with called(house, kind) as client:
            said = await converse(client, HELLO + at_once(recipient))
            assert not set(codes(said)) & {354}, recipient
            assert codes(said)[:2] == [250, 530], recipient
    assert await nothing_taken(house)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_failed_login_opens_nothing(house: Running, kind: PortKind) -> None:
    for half in ([b"AUTH LOGIN", b"*"], [plain("\0first-app\0wrong")], [b"AUTH PLAIN ===="]):
        for between in (b"", b"RSET\r\n", HELLO, b"NOOP\r\n"):
            async with protected(house, kind) as client:
                await say_all(client, half)
                said = await converse(client, between + at_once(b"<victim@example.net>"))
                assert 530 in codes(said) and 354 not in codes(said)
    assert await nothing_taken(house)


async def test_a_login_ends_with_its_connection(house: Running) -> None:
    async with logged_in(house, PortKind.STARTTLS) as client:
        assert (await hand_in(client, HEAD)).startswith(b"250")
        for between in (b"RSET\r\n", HELLO):
            assert (await client.say(between)).startswith(b"250")
            assert (await hand_in(client, HEAD)).startswith(b"250"), "it stays on this one"
    async with protected(house, PortKind.STARTTLS) as client:
        assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"530")


@pytest.mark.parametrize("how", ["switched off", "removed"])
async def test_a_login_taken_away_is_felt_at_the_next_message_of_an_open_session(
    house: Running, how: str
) -> None:
    directory = house.house.storage.directory
    (credential,) = await directory.credentials()
    async with logged_in(house, PortKind.TLS) as client:
        assert (await hand_in(client, HEAD)).startswith(b"250")
        if how == "removed":
            await directory.remove_credential(credential.id)
        else:
            await directory.save_credential(replace(credential, active=False))
        assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"535 5.7.8 ")
        said = await converse(client, ENVELOPE + b"QUIT\r\n")
        assert 354 not in codes(said)


async def test_a_login_speaks_only_for_the_senders_it_was_given(house: Running) -> None:
    directory = house.house.storage.directory
    (credential,) = await directory.credentials()
    await directory.save_credential(replace(credential, allowed_senders=("*@example.com",)))
    async with logged_in(house, PortKind.TLS) as client:
        assert (await hand_in(client, HEAD)).startswith(b"250")
        for head in (
            b"From: ann@example.net\r\n\r\nx\r\n",
            b"From: eve@example.com.example.net\r\n\r\nx\r\n",
            b"From: ann@example.com\r\nFrom: eve@example.net\r\n\r\nx\r\n",
            b'From: "ann@example.com" <eve@example.net>\r\n\r\nx\r\n',
            b"From: ann@example.com, eve@example.net\r\n\r\nx\r\n",
            b"from:eve@example.net\r\n\r\nx\r\n",
        ):
            said = await hand_in(client, head)
            assert codes(said) == [550], head
            assert b"5.7.1 eve@" in said or b"5.7.1 ann@example.net" in said, "it says who"
    assert len((await house.house.storage.messages.newest(MessageFilter(), 9)).messages) == 1
