"""a server that wants TLS and a login of us, and in what words mail waits when it misbehaves"""

from __future__ import annotations

import base64
from pathlib import Path

from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.fix_house import Running

USERNAME, PASSWORD = "relay", "pb_upstream"
LOGIN = {USERNAME: PASSWORD}
IN_BASE64 = (
    base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()),
    base64.b64encode(PASSWORD.encode()),
)


async def add_secure(
    running: Running,
    port: int,
    ca: Path | str,
    *,
    host: str = "127.0.0.1",
    encryption: Encryption = Encryption.STARTTLS,
    verify: bool = True,
) -> None:
    """One that is to be used under TLS only, and with our login."""
    server = Server(
        new_object_id(), running.app.id, "upstream", host, port, encryption=encryption,
        ca_file=str(ca), verify=verify, username=USERNAME, password=Secret(PASSWORD), priority=10,
    )  # fmt: skip
    await running.house.storage.directory.save_server(server)


async def first_attempt(running: Running) -> AttemptFacts:
    """Submit a message; what its first attempt came to. Raises AssertionError unless deferred."""
    receipt = await running.submit()
    (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
    history = await running.house.storage.events.history(row.last_event)
    attempts = [event.data for event in history if event.kind == "delivery.deferred"]
    assert attempts, [event.kind for event in history]
    assert isinstance(attempts[0], AttemptFacts)
    return attempts[0]


def nothing_in_clear(server: BadServer) -> None:
    """Whatever came of it: outside TLS neither credentials nor mail were said."""
    assert server.sessions
    for session in server.sessions:
        spoken = session.received_clear.upper()
        assert b"AUTH" not in spoken and b"MAIL" not in spoken
        for secret in IN_BASE64:
            assert secret not in session.received_clear


def nothing_at_all(server: BadServer) -> None:
    """Neither under TLS nor outside."""
    nothing_in_clear(server)
    assert not server.messages
    for session in server.sessions:
        assert not session.logins
        assert b"MAIL" not in session.received.upper()
