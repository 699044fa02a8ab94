"""the line to a Pillarbox: the running one's socket, a URL with a key, or the data itself"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from pillarbox.cli.errors import ApiProblem, NothingHere, Unreadable, WrongUsage
from pillarbox.cli.output import Screen
from pillarbox.settings.sources import Sources, read_sources

if TYPE_CHECKING:
    from pillarbox.net.http_client import Answer

PREFIX: Final = "/pillarbox/v1"
SOCKET_NAME: Final = "pillarbox.sock"
_PAGE: Final = 200
_BY_LINES: Final = {"accept": "application/x-ndjson"}
_PATIENCE_SECONDS: Final = 90.0
"""Longer than anything that is waited for: the check of a server may take a minute."""
_MAX_KEY_BYTES: Final = 4096
_OTHERS_MAY_READ: Final = 0o044


class Transport(Protocol):
    """What a request goes through."""

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and read the whole answer."""
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """Which Pillarbox is meant, as far as flags say."""

    server: str | None = None
    key_file: str | None = None
    data_dir: str | None = None
    config_file: str | None = None

    def sources(self, flags: Mapping[str, str] | None = None) -> Sources:
        """What flags, environment and files say about the settings."""
        said = dict(flags or {})
        if self.data_dir is not None:
            said["data_dir"] = self.data_dir
        config = Path(self.config_file) if self.config_file else None
        return read_sources(said, os.environ, config)


class Client:
    """Requests to the API, answers as values. Every method raises `ApiProblem` on a refusal."""

    def __init__(
        self, transport: Transport, is_offline: Callable[[], bool] = lambda: False
    ) -> None:
        """`is_offline` tells whether the transport goes to the data itself."""
        self._transport = transport
        self._is_offline = is_offline

    @property
    def offline(self) -> bool:
        """After the first request: nothing runs, so what was handed over waits on disk."""
        return self._is_offline()

    def get(self, path: str, **query: object) -> Any:
        """GET; parameters that are None are left out."""
        return self._call("GET", path + _query(query)).json()

    def post(self, path: str, document: object = None) -> Any:
        """POST a document."""
        return self._call("POST", path, {} if document is None else document).json()

    def patch(self, path: str, document: object) -> Any:
        """PATCH with a document."""
        return self._call("PATCH", path, document).json()

    def delete(self, path: str, **query: object) -> None:
        """DELETE."""
        self._call("DELETE", path + _query(query))

    def raw(self, path: str, **query: object) -> bytes:
        """GET what is no JSON."""
        return self._call("GET", path + _query(query)).body

    def items(
        self, path: str, *, limit: int | None = None, cursor: str = "cursor", **query: object
    ) -> list[dict[str, Any]]:
        """A list to its end, or its first `limit` items; `cursor` names the paging parameter."""
        found: list[dict[str, Any]] = []
        at: object = None
        while limit is None or len(found) < limit:
            page = min(_PAGE, limit - len(found)) if limit else _PAGE
            answer = self.get(path, **{**query, "limit": page, cursor: at})
            found.extend(answer["items"])
            following = answer.get("next")
            # A server that hands the same cursor out again would keep us here for ever.
            if not following or following == at:
                break
            at = following
        return found

    def follow(self, path: str, document: object) -> Iterator[dict[str, Any]]:
        """POST a document and hear what comes of it line by line, where somebody answers so; else
        one item, the whole answer as ``report``.
        """
        lines = getattr(self._transport, "lines", None)
        streamed = lines("POST", PREFIX + path, document) if lines is not None else None
        if streamed is None:
            yield {"report": self.post(path, document)}
            return
        answer, items = streamed
        _check(answer)
        for item in items:
            yield json.loads(item)

    def _call(self, method: str, path: str, document: object = None) -> Answer:
        answer = self._transport.request(method, PREFIX + path, document)
        _check(answer)
        return answer


class LocalTransport:
    """The socket in a data directory; where nobody listens, the data itself.

    Falls back only where the connection was refused: a line that broke later may have carried
    the request, and asking again could do it twice.
    """

    def __init__(self, sources: Sources, stack: ExitStack) -> None:
        """What is opened is closed by `stack`."""
        from pillarbox.net.http_client import LocalClient

        self._sources = sources
        self._stack = stack
        self._directory = sources.data_dir()
        self._live = stack.enter_context(
            LocalClient(self._directory / SOCKET_NAME, timeout=_PATIENCE_SECONDS)
        )
        self._data: Transport | None = None

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `Transport`. Raises `NothingHere` where there is neither a server nor data."""
        from pillarbox.net.errors import HttpUnreachable

        if self._data is None:
            try:
                return self._live.request(method, path, document, body=body, headers=headers)
            except HttpUnreachable as error:
                if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
                    raise
            self._data = self._open()
        return self._data.request(method, path, document, body=body, headers=headers)

    def lines(
        self, method: str, path: str, document: object
    ) -> tuple[Answer, Iterator[bytes]] | None:
        """Ask the one that runs, and read its answer line by line; None where none runs."""
        from pillarbox.net.errors import HttpUnreachable

        if self._data is not None:
            return None
        try:
            return self._live.stream(path, method=method, document=document, headers=_BY_LINES)
        except HttpUnreachable as error:
            if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
                raise
            return None

    @property
    def offline(self) -> bool:
        """Whether the data itself was opened."""
        return self._data is not None

    def _open(self) -> Transport:
        begun = self._directory.is_dir() and any(self._directory.iterdir())
        if not begun and self._sources.given("database_url") is None:
            raise NothingHere(
                f"there is no Pillarbox in {self._directory}",
                fix="pillarbox up   starts one here\n"
                "--data-dir DIR or --server URL   names another one",
            )
        from pillarbox.cli.offline import offline_client
        from pillarbox.settings import load

        return self._stack.enter_context(offline_client(load(self._sources)))


@contextmanager
def connected(where: Where) -> Iterator[Client]:
    """A client for the Pillarbox that is meant."""
    with ExitStack() as stack:
        if where.server is None:
            transport = LocalTransport(where.sources(), stack)
            yield Client(transport, lambda: transport.offline)
            return
        from pillarbox.net.http_client import LocalClient

        headers = {"authorization": f"Bearer {_read_key(where)}"}
        yield Client(
            stack.enter_context(
                LocalClient(where.server, headers=headers, timeout=_PATIENCE_SECONDS)
            )
        )


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="@._-~")


def _check(answer: Answer) -> None:
    """Raises `ApiProblem` for a refusal."""
    if answer.status >= 400:
        problem = answer.json()
        raise ApiProblem(answer.status, problem if isinstance(problem, dict) else {})


def _query(parameters: Mapping[str, object]) -> str:
    said = {name: str(value) for name, value in parameters.items() if value is not None}
    return "?" + urlencode(said) if said else ""


def _read_key(where: Where) -> str:
    if where.key_file is None:
        raise WrongUsage(
            f"{where.server} wants a key",
            fix="--key-file FILE, or PILLARBOX_KEY_FILE; a key is made with: pillarbox key add NAME",
        )
    if where.key_file == "-":
        return sys.stdin.readline(_MAX_KEY_BYTES).strip()
    path = Path(where.key_file)
    try:
        with path.open() as file:
            key = file.read(_MAX_KEY_BYTES).strip()
        others = path.stat().st_mode & _OTHERS_MAY_READ
    except (OSError, UnicodeDecodeError) as wrong:
        raise Unreadable(f"the key file {path}", wrong) from wrong
    if others:
        Screen().note(f"note: {path} can be read by others; chmod 600 {path}")
    return key
