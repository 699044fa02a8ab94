from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli import serve
from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run


def test_serve_insists_on_its_ports_and_keeps_events_for_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(serve, "start", lambda _, flags, **how: told.append(how) or Exit.DONE)
    assert run(["serve"]) == Exit.DONE
    assert run(["serve", "--events"]) == Exit.DONE
    assert told == [
        {"as_service": True, "show_events": False},
        {"as_service": True, "show_events": True},
    ]
