from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli import serve, up
from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a start would have been told."""
    told: list[dict[str, Any]] = []

    def start(call: Any, flags: dict[str, str], **how: Any) -> int:
        told.append({"flags": flags, "data_dir": call.where.data_dir, **how})
        return Exit.DONE

    monkeypatch.setattr(up, "start", start)
    monkeypatch.setattr(serve, "start", start)
    return told


def test_up_takes_the_next_port_and_shows_what_happens(starts: list[dict[str, Any]]) -> None:
    assert run(["up", "--data-dir", "/x", "--http-port", "1", "--smtp-port", "2"]) == Exit.DONE
    assert starts == [
        {
            "flags": {"smtp.starttls_ports": "2", "http.port": "1"},
            "data_dir": "/x",
            "as_service": False,
            "show_events": True,
        }
    ]


def test_the_data_directory_may_be_named_before_the_command(starts: list[dict[str, Any]]) -> None:
    assert run(["--data-dir", "/x", "up"]) == Exit.DONE
    assert starts[0]["data_dir"] == "/x"
