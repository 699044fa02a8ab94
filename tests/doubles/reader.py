"""somebody who reads mail: asks for a link or an image over a real socket, and follows nothing"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered."""

    status: int
    fields: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def location(self) -> str:
        """Where a redirect leads; empty where there is none."""
        return self.fields.get("location", "")


class Reader:
    """Of one tracking host."""

    def __init__(
        self, port: int, *, context: ssl.SSLContext | None = None, name: str = "localhost"
    ) -> None:
        """With a `context` TLS is spoken, to `name`."""
        self._port = port
        self._context = context
        self._name = name

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        agent: str | None = FIREFOX,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Told:
        """One request on a connection of its own."""
        sent = {"Host": self._name, "Connection": "close"}
        if agent is not None:
            sent["User-Agent"] = agent
        if body:
            sent["Content-Length"] = str(len(body))
        head = "".join(
            f"{name}: {value}\r\n" for name, value in (sent | dict(fields or {})).items()
        )
        return await self.say(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)

    async def say(self, octets: bytes) -> Told:
        """Whatever octets; the answer up to the end of the connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context,
            server_hostname=self._name if self._context else None,
        )  # fmt: skip
        try:
            writer.write(octets)
            async with asyncio.timeout(20):
                answer = await reader.read(-1)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        told = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        return Told(int(first.split(" ")[1]), told, body)
