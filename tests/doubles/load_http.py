"""clients that hand mail over by HTTP, to the email service's address

One POST per message to ``/api/v2/{service}`` with the key in X-DreamFactory-API-Key and ``"async":
true``, so that a 2xx means what a 250 means: taken charge of. The subject is the message's id,
which is how the sink knows it; the body is composed by the server, so there is no digest to
compare. A message counts as handed over once its request was written completely.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.parse
from dataclasses import dataclass
from typing import Self

import h11

from tests.doubles.outbox import Errand, Outbox

_TRY_AGAIN_SECONDS = 0.02
_MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Where requests go and what they show."""

    host: str
    port: int
    https: bool
    service: str
    key: str

    @classmethod
    def parse(cls, url: str, service: str, key: str) -> Self:
        """From scheme, host and port."""
        parts = urllib.parse.urlsplit(url)
        https = parts.scheme == "https"
        return cls(
            parts.hostname or "127.0.0.1", parts.port or (443 if https else 80), https, service, key
        )


class HttpWorker:
    """Keeps one connection after the other until the outbox is empty."""

    def __init__(self, outbox: Outbox, target: HttpTarget) -> None:
        self.outbox = outbox
        self.target = target
        self.context: ssl.SSLContext | None = None
        if target.https:
            ca_file = outbox.settings.ca_file
            self.context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)

    async def run(self) -> None:
        """Work until nothing is left, time is up or the server stays away too long."""
        outbox = self.outbox
        away_since = time.monotonic()
        while not outbox.over:
            answered = await self._one_connection()
            if answered:
                away_since = time.monotonic()
                continue
            if time.monotonic() - away_since > outbox.settings.away_seconds:
                return
            await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _one_connection(self) -> int:
        """How many answers were read on one connection."""
        settings, target = self.outbox.settings, self.target
        try:
            async with asyncio.timeout(settings.answer_seconds):
                reader, writer = await asyncio.open_connection(
                    target.host,
                    target.port,
                    ssl=self.context,
                    server_hostname=settings.server_name if self.context else None,
                )
        except (OSError, ssl.SSLError, TimeoutError):
            self.outbox.report.reconnections += 1
            return 0
        self.outbox.report.connections += 1
        answered = 0
        connection = h11.Connection(h11.CLIENT)
        try:
            while not self.outbox.over:
                pause_seconds = self.outbox.pause_seconds()
                if pause_seconds > 0:
                    await asyncio.sleep(pause_seconds)
                errand = self.outbox.take()
                if errand is None or not await self._post(errand, connection, reader, writer):
                    break
                answered += 1
                if connection.our_state is not h11.DONE or (connection.their_state is not h11.DONE):
                    break
                connection.start_next_cycle()
        finally:
            writer.transport.abort()
        return answered

    async def _post(
        self,
        errand: Errand,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether an answer was read; accounts for the errand in every case."""
        outbox = self.outbox
        body = self._body(errand)
        written = False
        try:
            async with asyncio.timeout(outbox.settings.answer_seconds):
                writer.write(self._request(connection, body))
                written = True
                begun = time.monotonic()
                status, answer = await _read_answer(connection, reader)
        except (OSError, ssl.SSLError, TimeoutError, h11.ProtocolError, EOFError):
            outbox.report.reconnections += 1
            if written:
                outbox.unanswered(errand, errand.recipients, None)
            else:
                outbox.give_back(errand)
            return False
        except asyncio.CancelledError:
            outbox.unanswered(errand, errand.recipients, None)
            raise
        text = f"{status} {answer.decode('utf-8', 'replace')}"
        if 200 <= status < 300:
            seconds = time.monotonic() - begun
            outbox.note_latency(seconds)
            outbox.acknowledged(errand, errand.recipients, None, len(body), text, seconds=seconds)
        else:
            outbox.refused(errand, errand.recipients, text)
            outbox.done_with(errand)
        return True

    def _body(self, errand: Errand) -> bytes:
        fields: dict[str, object] = {
            "to": [{"email": recipient} for recipient in errand.recipients],
            "subject": errand.identity,
            "body_text": self.outbox.letters.text(errand.number),
            "async": True,
        }
        if self.outbox.settings.return_path:
            fields["from_email"] = self.outbox.settings.return_path
        return json.dumps(fields).encode()

    def _request(self, connection: h11.Connection, body: bytes) -> bytes:
        target = self.target
        head = connection.send(
            h11.Request(
                method="POST",
                target=f"/api/v2/{target.service}",
                headers=[
                    ("Host", f"{target.host}:{target.port}"),
                    ("Content-Type", "application/json"),
                    ("Content-Length", str(len(body))),
                    ("X-DreamFactory-API-Key", target.key),
                ],
            )
        )
        data = connection.send(h11.Data(data=body))
        end = connection.send(h11.EndOfMessage())
        return (head or b"") + (data or b"") + (end or b"")


async def _read_answer(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[int, bytes]:
    """Status and body. Raises EOFError where the connection ended before the answer did."""
    status = 0
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data and status == 0:
                raise EOFError
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            if len(body) > _MAX_ANSWER_BYTES:
                raise EOFError
        elif isinstance(event, h11.EndOfMessage):
            return status, body
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise EOFError
