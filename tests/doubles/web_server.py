"""a web server on loopback that answers as it is told: rightly, slowly, with garbage, or never"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What somebody asked. `connection` counts from 0."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class WebReply:
    """What is answered. `raw` is sent as it is in place of everything else."""

    status: int = 200
    body: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    waits: asyncio.Event | None = None
    """The answer is held back until then."""
    endless: bool = False
    """The body never ends."""
    close: bool = False


class WebServer:
    """Answers each request with what `answer` makes of it; remembers all requests."""

    def __init__(
        self, answer: Callable[[WebRequest], WebReply], context: ssl.SSLContext | None = None
    ) -> None:
        """With a `context` it speaks TLS from the start."""
        self._answer = answer
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[WebRequest] = []
        self.connections = 0
        self.port = 0
        """Where it listens."""

    def url(self, path: str = "/", host: str = "localhost") -> str:
        """The address of a page."""
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._context, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        for _ in range(10):  # connections that never got as far as a task close meanwhile
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections
        self.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer, number):
                    pass
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        request = WebRequest(method, target, fields, body, number)
        self.requests.append(request)
        reply = self._answer(request)
        if reply.waits is not None:
            await reply.waits.wait()
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        sent = dict(reply.fields)
        if reply.endless:
            sent["transfer-encoding"] = "chunked"
        else:
            sent["content-length"] = str(len(reply.body))
        told = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"HTTP/1.1 {reply.status} Told\r\n{told}\r\n".encode() + reply.body)
        while reply.endless:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()
        await writer.drain()
        return not reply.close
