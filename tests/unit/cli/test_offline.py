from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.cli.client import Client, Where, connected
from pillarbox.cli.errors import ApiProblem
from pillarbox.cli.offline import OfflineTransport, offline_client
from pillarbox.settings import load
from pillarbox.storage.interface.errors import DataDirLocked
from pillarbox.wiring.offline import NeverStarted
from tests.unit.cli.conftest import begun


def test_the_api_answers_without_a_server(house: OfflineTransport) -> None:
    client = Client(house)
    assert [each["name"] for each in client.items("/apps")] == ["first-app"]
    sent = client.post("/messages", {"from": "a@example.com", "to": "b@example.com", "text": "x"})
    assert sent["status"] == "sandboxed"
    assert b"To: b@example.com" in client.raw(f"/messages/{sent['id']}/raw")
    with pytest.raises(ApiProblem):
        client.get("/apps/none")


def test_the_data_is_owned_while_it_is_open(house: OfflineTransport) -> None:
    with pytest.raises(DataDirLocked), offline_client(load(Where().sources())):
        pass


def test_what_was_done_without_a_server_is_there_next_time(directory: Path) -> None:
    begun(load(Where(data_dir=str(directory / "pillarbox-data")).sources()))
    with connected(Where()) as client:
        client.post("/apps", {"name": "shop"})
        assert client.offline
    with connected(Where()) as client:
        assert [each["name"] for each in client.items("/apps")] == ["first-app", "shop"]


def test_a_directory_that_was_never_started_is_not_begun_unseen(directory: Path) -> None:
    """A first start shows secrets once; here nobody would see them."""
    data = directory / "pillarbox-data"
    data.mkdir()
    (data / "anything").touch()
    with connected(Where()) as client, pytest.raises(NeverStarted):
        client.get("/apps")
