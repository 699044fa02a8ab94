from __future__ import annotations

import json
from typing import Any

import pytest

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, Where
from pillarbox.cli.errors import Exit
from pillarbox.cli.status import _print
from pillarbox.settings.process import ROLES


def test_a_running_pillarbox_is_told_from_one_that_is_not(do, monkeypatch) -> None:
    assert "has been running for" in do("status").out
    monkeypatch.setattr(Client, "offline", True)
    done = do("status")
    assert done.out.startswith("Not running.")
    assert done.code == Exit.UNREACHABLE


def test_a_monitor_gets_a_document(do) -> None:
    found = json.loads(do("status", "--json").out)
    assert found["running"] is True
    assert found["queue"]["waiting"] == 0
    assert found["apps"][0]["name"] == "first-app"


def test_the_last_mail_and_the_apps_are_shown(do) -> None:
    do("send", "--to", "you@example.com", "--subject", "Hi")
    said = do("status").out
    assert '"Hi"' in said
    assert "first-app  sandbox" in said


def test_the_tracking_host_is_told_where_there_is_one(found: dict[str, Any], capsys) -> None:
    found["tracking_host"] = {
        "host": "clicks.example.com",
        "listeners": [{"host": "127.0.0.1", "port": 8481, "security": "plain", "note": ""}],
    }
    _print(Call(Where()), found, running=True)
    assert "clicks.example.com   answered at 127.0.0.1:8481 (plain)" in capsys.readouterr().out


@pytest.fixture
def found() -> dict[str, Any]:
    return {
        "version": "0.1.0",
        "uptime_seconds": 7500,
        "listeners": [{"host": "127.0.0.1", "port": 2525, "security": "STARTTLS"}],
        "node": {
            "name": "one",
            "state": "working",
            "roles": list(ROLES),
            "draining": False,
            "nodes_alive": 1,
        },
        "apps": [],
        "queue": {
            "waiting": 7,
            "held": 2,
            "active": 1,
            "oldest_at": "2020-01-01T00:00:00Z",
        },
        "last_message": None,
        "storage": {"writable": False, "trouble": "the disk is full", "free_bytes": None},
    }


def test_what_goes_wrong_cannot_be_overlooked(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _print(Call(Where()), found, running=True)
    said = capsys.readouterr().out
    assert "running for 2h 5m" in said
    assert "NO MAIL: the disk is full" in said
    assert "7 (2 held, 1 sending, the oldest" in said
    assert "127.0.0.1:2525 (STARTTLS)" in said


def test_ports_for_bounces_are_told_from_those_for_sending(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    both = found["listeners"][0]
    found["bounce_listeners"] = [both, {"host": "*", "port": 25, "security": "STARTTLS"}]
    _print(Call(Where()), found, running=True)
    assert "127.0.0.1:2525 (STARTTLS), *:25 (bounces)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "running", "said"),
    [
        ({}, True, "one"),
        ({"nodes_alive": 3}, True, "one, one of 3 that live"),
        ({"roles": ["smtp", "http"]}, True, "one, for smtp, http"),
        ({"draining": True, "state": "drained"}, True, "one, drained: accepts nothing more"),
        ({"draining": True, "state": "stopped", "roles": []}, False, "one, will accept nothing"),
    ],
)
def test_the_node_is_named_with_what_is_not_as_everybody_expects(
    found: dict[str, Any],
    facts: dict[str, Any],
    running: bool,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found["node"] |= facts
    _print(Call(Where()), found, running=running)
    assert f"  Node        {said}\n" in capsys.readouterr().out


def test_whoever_does_not_see_nodes_is_not_told_of_one(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _print(Call(Where()), {**found, "node": None}, running=True)
    assert "Node" not in capsys.readouterr().out


def test_a_node_that_is_drained_has_the_exit_code_of_one_that_takes_no_mail(do) -> None:
    name = do("node", "list", "-q").out.strip()
    assert do("status").code == Exit.DONE
    do("node", "drain", name)
    assert do("status").code == Exit.FOUND_PROBLEMS


def test_a_store_that_takes_nothing_has_its_exit_code(do, monkeypatch) -> None:
    healthy = Client.get

    def sick(client: Client, path: str, **query: object) -> Any:
        answer = healthy(client, path, **query)
        answer["storage"]["writable"] = False
        return answer

    monkeypatch.setattr(Client, "get", sick)
    assert do("status").code == Exit.FOUND_PROBLEMS
