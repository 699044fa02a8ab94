"""TLS all the way, from MAIL over TLS to a next hop that promises the same, or to a failure

RFC 8689: a message that requires TLS goes to verified servers that offer REQUIRETLS, and to nobody
else; one that says `TLS-Required: No` is kept as such.
"""

from __future__ import annotations

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.net.peer_certificate import fingerprint
from pillarbox.policy.delivery import State
from pillarbox.policy.server import Encryption
from pillarbox.storage.interface.messages import StoredMessage
from tests.doubles.bad_server import DEFAULT_EXTENSIONS, BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.script import Script, Stage, say
from tests.e2e.porch import BOTH, HELLO, codes, converse, logged_in, queued_as
from tests.fix_house import Houses, Running

LETTER = b"From: ann@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n%b\r\nSecret words.\r\n"
PROMISING = (*DEFAULT_EXTENSIONS, "REQUIRETLS")


@pytest.fixture
async def house(houses: Houses) -> Running:
    return await houses.start(smtp=BOTH)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return issue_certificate(tmp_path_factory.mktemp("tls"))


async def submitted(
    house: Running, mail: str, field: bytes = b"", rcpt: str = "<bob@example.org>"
) -> StoredMessage:
    commands = [f"MAIL FROM:<ann@example.com>{mail}", f"RCPT TO:{rcpt}", "DATA"]
    async with logged_in(house, PortKind.STARTTLS) as client:
        envelope = "".join(line + "\r\n" for line in commands).encode()
        said = await converse(client, envelope + LETTER % field + b".\r\nQUIT\r\n")
    assert codes(said) == [250, 250, 354, 250, 221], said
    return await house.house.storage.messages.get(queued_as(said))


async def outcome(house: Running, stored: StoredMessage) -> tuple[State, str]:
    (row,) = await house.until(stored.id)
    history = await house.house.storage.events.history(row.last_event)
    statuses = [status for event in history if (status := getattr(event.data, "status", ""))]
    return row.state, statuses[-1] if statuses else ""


def commands_of(server: BadServer) -> list[str]:
    return [c.line.decode().strip() for session in server.sessions for c in session.commands]


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_ehlo_lists_requiretls_on_ports_with_tls(house: Running, kind: PortKind) -> None:
    async with logged_in(house, kind) as client:
        offered = [line[4:] for line in (await client.say(HELLO)).splitlines()]
        assert b"REQUIRETLS" in offered


async def test_it_is_passed_on_to_a_verified_server_that_offers_it(
    house: Running, files: CertificateFiles
) -> None:
    async with BadServer(tls=files.server_context(), extensions=PROMISING) as server:
        await house.add_server(
            "safe", server.port, encryption=Encryption.STARTTLS, ca_file=str(files.ca)
        )
        stored = await submitted(house, " REQUIRETLS")
        assert stored.facts.tls == "required"
        assert (await outcome(house, stored))[0] is State.HANDED_OVER
        (mail,) = [line for line in commands_of(server) if line.startswith("MAIL")]
        assert mail.split()[-1] == "REQUIRETLS"
        stored = await submitted(house, "")
        await house.until(stored.id)
        assert "REQUIRETLS" not in [c for c in commands_of(server) if c.startswith("MAIL")][-1]


async def test_a_pinned_key_is_as_good_as_an_authority(
    house: Running, files: CertificateFiles
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
    pin = fingerprint(leaf.public_bytes(Encoding.DER))
    async with BadServer(tls=files.server_context(), extensions=PROMISING) as server:
        await house.add_server("pinned", server.port, encryption=Encryption.STARTTLS, pin=pin)
        stored = await submitted(house, " REQUIRETLS")
        assert (await outcome(house, stored))[0] is State.HANDED_OVER


@pytest.mark.parametrize("case", ["not offered", "not verified", "in clear"])
async def test_where_no_server_can_promise_it_the_mail_fails_with_5_7_30_and_is_not_sent(
    house: Running, files: CertificateFiles, case: str
) -> None:
    offers = DEFAULT_EXTENSIONS if case == "not offered" else PROMISING
    tls = None if case == "in clear" else files.server_context()
    async with BadServer(tls=tls, extensions=offers) as server:
        await house.add_server(
            "unsafe",
            server.port,
            encryption=Encryption.NONE if tls is None else Encryption.STARTTLS,
            ca_file=str(files.ca),
            verify=case == "not offered",
        )
        stored = await submitted(house, " REQUIRETLS")
        assert await outcome(house, stored) == (State.FAILED, "5.7.30")
        assert not any(line.startswith("MAIL") for line in commands_of(server))


async def test_the_next_server_may_promise_what_the_first_does_not(
    house: Running, files: CertificateFiles
) -> None:
    async with (
        BadServer(tls=files.server_context()) as unsafe,
        BadServer(tls=files.server_context(), extensions=PROMISING) as safe,
    ):
        for name, server, priority in (("unsafe", unsafe, 0), ("safe", safe, 1)):
            await house.add_server(
                name, server.port, encryption=Encryption.STARTTLS, ca_file=str(files.ca),
                priority=priority,
            )  # fmt: skip
        stored = await submitted(house, " REQUIRETLS")
        assert (await outcome(house, stored))[0] is State.HANDED_OVER
        assert not unsafe.messages and len(safe.messages) == 1


async def test_the_notice_of_a_failure_is_as_safe_and_holds_no_body(
    house: Running, files: CertificateFiles
) -> None:
    """RFC 8689 §5, also where the whole message was asked for."""
    nobody = Script().on(Stage.RCPT, say(550, "5.1.1 nobody here"), recipient="nobody@example.org")
    async with BadServer(nobody, tls=files.server_context(), extensions=PROMISING) as server:
        await house.add_server(
            "safe", server.port, encryption=Encryption.STARTTLS, ca_file=str(files.ca)
        )
        stored = await submitted(
            house, " REQUIRETLS RET=FULL", rcpt="<nobody@example.org> NOTIFY=FAILURE"
        )
        await house.until(stored.id)
        await house.house.notices.pay()
        await server.until(lambda: any(not m.return_path for m in server.delivered))
        (notice,) = [m for m in server.delivered if not m.return_path]
        assert b"Subject: hello" in notice.content and b"Secret words" not in notice.content
        mails = [line for line in commands_of(server) if line.startswith("MAIL FROM:<>")]
        assert mails and all(line.endswith(" REQUIRETLS") for line in mails)


@pytest.mark.parametrize(
    ("mail", "field", "kept"),
    [
        ("", b"TLS-Required: No\r\n", "optional"),
        ("", b"tls-required:no\r\n", "optional"),
        ("", b"TLS-Required: Yes\r\n", ""),
        ("", b"X-TLS-Required: No\r\n", ""),
        ("", b"", ""),
        (" REQUIRETLS", b"TLS-Required: No\r\n", "required"),
    ],
)
async def test_what_the_author_wants_of_tls_is_kept_and_the_field_stays(
    house: Running, mail: str, field: bytes, kept: str
) -> None:
    stored = await submitted(house, mail, field)
    assert stored.facts.tls == kept
    content = await house.house.storage.messages.content(stored.id)
    assert field in content
