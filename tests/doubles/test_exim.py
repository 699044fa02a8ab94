"""the private Exim passes mail on by TLS and a login, and leaves nothing behind"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.doubles.exim import Exim, exim_version
from tests.doubles.process import ProgramError

pytestmark = [pytest.mark.needs("exim", "mounts"), pytest.mark.slow]

CONTENT = (
    b"From: <ann@example.com>\r\nTo: <bob@example.org>\r\nDate: Fri, 20 Mar 2026 09:30:00 +0000\r\n"
    b"Message-ID: <a@example.com>\r\n\r\n.\r\n..\r\nGr\xc3\xb6\xc3\x9fe\r\n"
)
USERNAME, PASSWORD = "relay@example.com", "pa ^ss: $word"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("implicit", [False, True])
async def test_what_it_is_given_goes_on_unchanged_below_its_trace_field(
    tmp_path: Path, implicit: bool, mechanism: str
) -> None:
    certificate = issue_certificate(tmp_path)
    server = BadServer(
        tls=certificate.server_context(), implicit_tls=implicit,
        credentials={USERNAME: PASSWORD}, require_auth=True,
    )  # fmt: skip
    async with server:
        with Exim(
            server.port, certificate.ca, username=USERNAME, password=PASSWORD,
            implicit_tls=implicit, mechanism=mechanism,
        ) as exim:  # fmt: skip
            home = exim.home
            await exim.send("ann@example.com", ["bob@example.org", "c@example.org"], CONTENT)
        (message,) = server.delivered
    assert message.tls and message.username == USERNAME
    assert server.sessions[0].logins[0].mechanism == mechanism
    assert message.accepted_recipients == ("bob@example.org", "c@example.org")
    trace, _, rest = message.content.partition(b"From: ")
    assert trace.startswith(b"Received: by exim.example.test") and trace.count(b"\r\n") <= 2
    assert b"From: " + rest == CONTENT
    assert not home.exists()


async def test_it_hands_nothing_to_whom_it_cannot_trust(tmp_path: Path) -> None:
    certificate = issue_certificate(tmp_path / "server")
    stranger = issue_certificate(tmp_path / "stranger").ca
    async with BadServer(tls=certificate.server_context()) as server:
        with (
            Exim(server.port, stranger, username=USERNAME, password=PASSWORD) as exim,
            pytest.raises(ProgramError, match="certificate"),
        ):
            await exim.send("ann@example.com", ["bob@example.org"], CONTENT)
        assert not server.messages and not server.sessions[0].logins


def test_its_version_is_known() -> None:
    assert exim_version()[0].isdigit()
