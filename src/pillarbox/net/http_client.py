"""a small synchronous HTTP client for the command line: our own API, over a socket file or a URL"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pillarbox.net.errors import HttpUnreachable

_MAX_BODY_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it is empty or no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class LocalClient:
    """Requests to one Pillarbox, one after the other, on one kept connection.

    Every method raises `HttpUnreachable` where nobody answers or the line breaks.
    """

    def __init__(
        self, target: Path | str, *, headers: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> None:
        """`target` is the path of a Unix socket, or a URL with http or https.

        `headers` go with every request. `timeout` is in seconds, for each read and write.
        """
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._prefix = ""
        self._socket_path: Path | None = None
        self._host = ("localhost", 0)
        self._secure = False
        if isinstance(target, Path):
            self._socket_path = target
        else:
            self._read_url(target)
        self._name = str(target)
        self._kept: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Answer:
        """GET `path`."""
        return self.request("GET", path)

    def post(self, path: str, document: object = None) -> Answer:
        """POST `document` as JSON."""
        return self.request("POST", path, document)

    def put(self, path: str, document: object = None) -> Answer:
        """PUT `document` as JSON."""
        return self.request("PUT", path, document)

    def patch(self, path: str, document: object = None) -> Answer:
        """PATCH `document` as JSON."""
        return self.request("PATCH", path, document)

    def delete(self, path: str) -> Answer:
        """DELETE `path`."""
        return self.request("DELETE", path)

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and read the whole answer. `document` is sent as JSON, `body` as it is."""
        response = self._ask(method, path, document, body, headers)
        try:
            data = response.read(_MAX_BODY_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        if len(data) > _MAX_BODY_BYTES:
            self.close()
            raise HttpUnreachable(f"{self._name} sent more than anybody could want")
        return Answer(response.status, _lowered(response), data)

    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Answer, Iterator[bytes]]:
        """Ask for `path` and read its lines as they come, without their ends.

        The answer's own body is filled only where its status is no 2xx. The lines end when the
        server ends them; leaving early is fine, the connection is then closed.
        """
        response = self._ask(method, path, document, None, headers)
        fine = 200 <= response.status < 300
        body = b"" if fine else response.read(_MAX_BODY_BYTES)
        return Answer(response.status, _lowered(response), body), self._lines(response)

    def close(self) -> None:
        """Give the connection up; the next request opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HttpUnreachable(
                f"{url!r} is not the address of a Pillarbox",
                fix="write it as http://127.0.0.1:8480",
            )
        self._secure = parts.scheme == "https"
        self._host = (parts.hostname, parts.port or (443 if self._secure else 80))
        self._prefix = parts.path.rstrip("/")

    def _ask(
        self,
        method: str,
        path: str,
        document: object,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> http.client.HTTPResponse:
        sent = {"accept": "application/json", **self._headers, **(headers or {})}
        if document is not None:
            body = json.dumps(document).encode()
            sent.setdefault("content-type", "application/json")
        kept = self._kept is not None
        try:
            return self._once(method, path, body, sent)
        except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected) as error:
            self.close()
            # A kept connection that had meanwhile been closed: nothing was asked, ask again. Only
            # what may be asked twice, since a server may also die after it has done the work.
            if not kept or method not in ("GET", "HEAD"):
                raise self._lost(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        try:
            return self._once(method, path, body, sent)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if self._kept is None:
            self._kept = self._connection()
        self._kept.request(method, self._prefix + path, body, dict(headers))
        return self._kept.getresponse()

    def _connection(self) -> http.client.HTTPConnection:
        if self._socket_path is not None:
            return _SocketFileConnection(self._socket_path, self._timeout)
        host, port = self._host
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while line := response.readline():
                yield line.rstrip(b"\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            self.close()

    def _lost(self, error: Exception) -> HttpUnreachable:
        self.close()
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._timeout:g} seconds"
        elif isinstance(error, FileNotFoundError | ConnectionRefusedError):
            why = "nobody listens there"
        else:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return HttpUnreachable(
            f"no Pillarbox answers at {self._name}: {why}",
            fix="start it with: pillarbox up",
        )


class _SocketFileConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(str(self._path))
        except BaseException:
            sock.close()
            raise
        self.sock = sock


def _lowered(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
