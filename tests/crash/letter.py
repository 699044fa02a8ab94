"""one message handed over in clear, and what the client was told about it"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import smtplib
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.crash.relay import Relay
from tests.doubles.journal import Fact

RETURN_PATH = "ann@sender.test"
_PATIENCE_SECONDS = 20
_LINE = b"All that was agreed last week is in this letter, and nothing else is.\r\n"


_LEAVING = 421


@dataclass(frozen=True, slots=True)
class Told:
    """What the client knows afterwards."""

    identity: str
    recipients: tuple[str, ...]
    sha256: str
    """Of the body."""
    code: int | None
    """The reply to the final dot; None where the connection ended without one."""
    reply: str = ""

    @property
    def fact(self) -> Fact:
        """As the journal of a client has it."""
        events = {None: "unanswered", 2: "acknowledged"}
        event = events.get(self.code and self.code // 100, "refused")
        return {
            "event": event,
            "id": self.identity,
            "recipients": list(self.recipients),
            "sha256": self.sha256,
            "reply": self.reply,
        }


async def hand_over(
    port: int,
    identity: str,
    recipients: Sequence[str] = (),
    *,
    size: int = 400,
    return_path: str = RETURN_PATH,
) -> Told:
    """Hand a message of about `size` bytes to a port on loopback that wants neither TLS nor login.

    What goes wrong before the content is an error; what goes wrong from then on is in the result.
    """
    return await asyncio.to_thread(_hand_over, port, identity, recipients, size, return_path)


async def post(relay: Relay, body: Mapping[str, str], *, idempotency_key: str) -> int | None:
    """POST a message to the REST API; the status, or None where no answer came."""
    return await asyncio.to_thread(_post, relay, body, idempotency_key)


def _post(relay: Relay, body: Mapping[str, str], idempotency_key: str) -> int | None:
    url = urllib.parse.urlsplit(relay.http_url)
    headers = {
        "Authorization": f"Bearer {relay.secrets['Key']}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }
    connection = http.client.HTTPConnection(url.hostname or "", url.port, _PATIENCE_SECONDS)
    try:
        connection.request("POST", "/pillarbox/v1/messages", json.dumps(body), headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _hand_over(
    port: int, identity: str, recipients: Sequence[str], size: int, return_path: str
) -> Told:
    everybody = tuple(recipients) or (f"{identity}@recipient.test",)
    body = _LINE * max(1, size // len(_LINE))
    header = (
        f"From: <ann@sender.test>\r\nTo: {everybody[0]}\r\nSubject: a letter\r\n"
        f"Message-ID: <{identity}@sender.test>\r\nX-Exp-Id: {identity}\r\n\r\n"
    )
    digest = hashlib.sha256(body).hexdigest()
    client = smtplib.SMTP("127.0.0.1", port, "client.sender.test", timeout=_PATIENCE_SECONDS)
    try:
        client.ehlo()
        _expect(client.mail(return_path))
        for recipient in everybody:
            _expect(client.rcpt(recipient))
        try:
            code, reply = client.data(header.encode() + body)
        except (smtplib.SMTPServerDisconnected, OSError):
            return Told(identity, everybody, digest, None)
        return Told(identity, everybody, digest, code, reply.decode("utf-8", "replace"))
    finally:
        client.close()


def _expect(answer: tuple[int, bytes]) -> None:
    if answer[0] == _LEAVING:
        # It stops between two commands: nothing was handed over, as where it is gone already.
        raise ConnectionError(answer[1].decode())
    assert answer[0] == 250, answer
