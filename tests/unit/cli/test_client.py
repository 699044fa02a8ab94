from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pillarbox.cli.client import Client, LocalTransport, Where, connected, segment
from pillarbox.cli.errors import ApiProblem, NothingHere, WrongUsage
from pillarbox.net.errors import HttpUnreachable
from pillarbox.net.http_client import Answer


class Scripted:
    """A server that answers from a script and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, object]] = []

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        self.asked.append((method, path, document))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        return Answer(status, {}, json.dumps(value).encode())


def test_a_list_is_followed_to_its_end() -> None:
    server = Scripted(
        {"items": [{"n": 1}, {"n": 2}], "next": "a b"}, {"items": [{"n": 3}], "next": None}
    )
    items = Client(server).items("/messages", cursor="before", app=None, state="held")
    assert [each["n"] for each in items] == [1, 2, 3]
    assert [path for _, path, _ in server.asked] == [
        "/pillarbox/v1/messages?state=held&limit=200",
        "/pillarbox/v1/messages?state=held&limit=200&before=a+b",
    ]


def test_a_list_ends_at_its_limit() -> None:
    server = Scripted({"items": [{}, {}], "next": "x"})
    assert len(Client(server).items("/messages", limit=2)) == 2
    assert server.asked[0][1].endswith("?limit=2")


def test_a_cursor_that_does_not_move_ends_a_list() -> None:
    server = Scripted({"items": [{}], "next": "x"}, {"items": [{}], "next": "x"})
    assert len(Client(server).items("/messages")) == 2


def test_a_refusal_is_raised_with_its_document() -> None:
    with pytest.raises(ApiProblem) as caught:
        Client(Scripted((404, {"code": "not_found", "detail": "no such"}))).get("/apps/x")
    assert caught.value.status == 404
    assert caught.value.error_code == "not_found"


def test_a_refusal_that_is_no_document_is_raised_too() -> None:
    with pytest.raises(ApiProblem, match="502"):
        Client(Scripted((502, "bad gateway"))).post("/apps", {})


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert segment("a/../b?c#d") == "a%2F..%2Fb%3Fc%23d"
    assert segment("web-1@x_y.z~") == "web-1@x_y.z~"


def unreachable(cause: BaseException) -> HttpUnreachable:
    error = HttpUnreachable("nobody answers")
    error.__cause__ = cause
    return error


@pytest.fixture
def local(directory: Path) -> Callable[..., tuple[LocalTransport, Scripted, Scripted]]:
    """A transport whose socket and whose data are scripted."""

    def make(live: Any) -> tuple[LocalTransport, Scripted, Scripted]:
        stack = ExitStack()
        transport = LocalTransport(Where().sources(), stack)
        socket, data = Scripted(*live), Scripted({"from": "data"}, {"from": "data"})
        transport._live = socket
        transport._open = lambda: data  # type: ignore[method-assign]
        return transport, socket, data

    return make


@pytest.mark.parametrize("cause", [FileNotFoundError(), ConnectionRefusedError()])
def test_where_nobody_listens_the_data_itself_is_opened(
    cause: BaseException, local: Callable[..., Any]
) -> None:
    transport, socket, _ = local([unreachable(cause)])
    client = Client(transport, lambda: transport.offline)
    assert client.get("/status") == {"from": "data"}
    assert client.offline
    assert client.post("/apps", {}) == {"from": "data"}
    assert len(socket.asked) == 1, "it is not asked again"


@pytest.mark.parametrize("cause", [ConnectionResetError(), TimeoutError()])
def test_what_may_have_been_asked_is_not_asked_twice(
    cause: BaseException, local: Callable[..., Any]
) -> None:
    transport, _, data = local([unreachable(cause)])
    with pytest.raises(HttpUnreachable):
        Client(transport).post("/messages", {})
    assert data.asked == []
    assert not transport.offline


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_server_and_without_data_there_is_nothing_here(
    exists: bool, directory: Path
) -> None:
    if exists:
        (directory / "pillarbox-data").mkdir()
    with pytest.raises(NothingHere, match="there is no Pillarbox in"), connected(Where()) as client:
        client.get("/status")
    assert (directory / "pillarbox-data").exists() is exists, "none is made by looking"


def test_a_server_elsewhere_wants_a_key() -> None:
    with (
        pytest.raises(WrongUsage, match="wants a key"),
        connected(Where(server="http://127.0.0.1:1")),
    ):
        pass


def test_a_key_file_must_be_readable() -> None:
    with (
        pytest.raises(WrongUsage, match="cannot read the key file"),
        connected(Where(server="http://127.0.0.1:1", key_file="/nowhere")),
    ):
        pass


@pytest.mark.parametrize(("mode", "note"), [(0o600, ""), (0o644, "can be read by others")])
def test_a_key_file_that_others_can_read_is_pointed_out(
    mode: int, note: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = directory / "key"
    file.write_text("secret\n")
    file.chmod(mode)
    with connected(Where(server="http://127.0.0.1:1", key_file=str(file))) as client:
        assert not client.offline
    assert note in capsys.readouterr().err


def test_a_key_may_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    with connected(Where(server="http://127.0.0.1:1", key_file="-")) as client:
        assert client._transport._headers == {"authorization": "Bearer secret"}  # type: ignore[attr-defined]


def test_the_data_directory_of_a_flag_beats_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    monkeypatch.setenv("PILLARBOX_DATA_DIR", "/from/environment")
    assert Where().sources().data_dir() == Path("/from/environment")
    assert Where(data_dir="x").sources().data_dir() == directory / "x"
    (directory / "c.toml").write_text('data_dir = "y"\n')
    monkeypatch.delenv("PILLARBOX_DATA_DIR")
    assert Where(config_file="c.toml").sources().data_dir() == directory / "y"
