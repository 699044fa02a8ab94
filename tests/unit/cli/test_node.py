from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pillarbox.cli import node as node_module
from pillarbox.cli.client import Client
from pillarbox.cli.errors import Exit
from pillarbox.settings.process import ROLES

Answers = Callable[..., list[tuple[str, str]]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "_LOOK_SECONDS", 0.0)


def a_node(name: str, state: str, **facts: Any) -> dict[str, Any]:
    load = {"messages": facts.pop("messages", 0), "sessions": 0, "accepted": 0, "settled": 0}
    return {
        "name": name,
        "number": 1,
        "state": state,
        "alive": state not in ("silent", "stopped"),
        "draining": state in ("draining", "drained"),
        "roles": list(ROLES),
        "version": "1.2.3",
        "started_at": "2020-01-01T00:00:00.000Z",
        "last_sign_of_life": "2020-01-01T00:00:00.000Z",
        "load": load,
        **facts,
    }


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Let the API answer with these nodes, look after look; what else it was asked for."""

    def answering(*looks: list[dict[str, Any]]) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []
        left = list(looks)

        def items(client: Client, path: str, **query: object) -> list[dict[str, Any]]:
            assert path == "/nodes"
            return left.pop(0) if len(left) > 1 else left[0]

        def post(client: Client, path: str, document: object = None) -> dict[str, Any]:
            asked.append(("POST", path))
            return items(client, "/nodes")[0]

        monkeypatch.setattr(Client, "items", items)
        monkeypatch.setattr(Client, "post", post)
        monkeypatch.setattr(Client, "delete", lambda client, path: asked.append(("DELETE", path)))
        return asked

    return answering


# --- against a store --------------------------------------------------------------------------


def test_a_store_used_alone_has_one_node(do) -> None:
    (node,) = json.loads(do("node", "list", "--json").out)["items"]
    assert node["number"] == 0
    assert do("node", "list", "-q").out == f"{node['name']}\n"


def test_where_nothing_runs_the_node_is_stopped_and_can_be_drained_all_the_same(do) -> None:
    name = do("nodes", "ls", "-q").out.strip()
    assert " stopped " in do("node", "list").out
    done = do("node", "drain", name, "--wait")
    assert done.code == Exit.DONE
    assert f"{name} is stopped; when it is started it will accept nothing." in done.out
    assert "node drain" in done.out and "--resume" in done.out
    assert json.loads(do("node", "list", "--json").out)["items"][0]["draining"] is True
    resumed = do("node", "drain", name, "--resume")
    assert resumed.out == f"{name} accepts mail when it runs again.\n"


def test_a_node_that_is_not_known_is_named_in_the_error(do) -> None:
    for words in (["drain", "nobody"], ["remove", "nobody", "--yes"]):
        done = do("node", *words)
        assert done.code == Exit.NOT_FOUND
        assert "no node called nobody" in done.err
        assert "pillarbox node list" in done.err


def test_the_node_one_speaks_to_is_not_removed(do) -> None:
    name = do("node", "list", "-q").out.strip()
    assert do("node", "remove", name).code == Exit.USAGE
    done = do("node", "remove", name, "--yes")
    assert done.code == Exit.CONFLICT
    assert "Stop it first" in done.err


# --- several nodes ----------------------------------------------------------------------------


def test_the_list_says_in_a_word_how_each_node_is(do, answers: Answers) -> None:
    answers(
        [
            a_node("four", "stopped", roles=[], last_sign_of_life=None, messages=4),
            a_node("one", "working", messages=12),
            a_node("three", "silent", messages=9),
            a_node("two", "drained", roles=["smtp", "deliver"]),
        ]
    )
    title, four, one, three, two = do("node", "list").out.splitlines()
    assert title.split() == [
        "NAME", "STATE", "VERSION", "ROLES", "IN", "MEMORY", "LAST", "SIGN", "OF", "LIFE",
    ]  # fmt: skip
    assert four.split() == ["four", "stopped", "1.2.3"]
    assert one.split()[:5] == ["one", "working", "1.2.3", "all", "12"]
    assert one.endswith(" ago")
    assert three.split()[:4] == ["three", "silent", "1.2.3", "all"]
    assert "smtp, deliver" in two and " drained " in two


def test_draining_says_how_far_it_is_and_how_to_go_back(do, answers: Answers) -> None:
    asked = answers([a_node("two", "draining", messages=1)])
    done = do("node", "drain", "two")
    assert asked == [("POST", "/nodes/two/drain")]
    assert done.out.splitlines() == [
        "two accepts nothing more and finishes what it has (draining, 1 message in memory).",
        "Back: pillarbox node drain two --resume",
    ]


def test_waiting_tells_each_step_until_nothing_is_left(do, answers: Answers) -> None:
    answers(
        [a_node("two", "draining", messages=12)],
        [a_node("two", "draining", messages=12)],
        [a_node("one", "working"), a_node("two", "draining", messages=3)],
        [a_node("one", "working"), a_node("two", "drained")],
    )
    done = do("node", "drain", "two", "--wait")
    assert done.code == Exit.DONE
    assert done.out.splitlines() == [
        "two: draining, 12 messages in memory",
        "two: draining, 3 messages in memory",
        "two is drained: it has nothing in memory and can be stopped.",
        "Back: pillarbox node drain two --resume",
    ]


def test_waiting_ends_in_time_and_for_a_program_prints_one_document(do, answers: Answers) -> None:
    answers([a_node("two", "draining", messages=12)], [a_node("two", "drained")])
    assert json.loads(do("node", "drain", "two", "--wait", "--json").out)["state"] == "drained"
    answers([a_node("two", "draining", messages=12)])
    done = do("node", "drain", "two", "--wait", "--timeout", "0s")
    assert done.code == Exit.UNREACHABLE
    assert "two is not drained after 0ms: draining, 12 messages in memory" in done.err
    assert "--timeout 1h" in done.err


def test_a_node_that_is_removed_or_stopped_meanwhile_is_not_waited_for(
    do, answers: Answers
) -> None:
    answers([a_node("two", "draining", messages=2)], [a_node("one", "working")])
    done = do("node", "drain", "two", "--wait")
    assert done.code == Exit.DONE
    assert "two is stopped" in done.out


def test_a_silent_node_is_said_to_be_silent(do, answers: Answers) -> None:
    answers([a_node("two", "silent", draining=True)])
    assert "two is silent; when it comes back" in do("node", "drain", "two").out


def test_resuming_is_not_waited_for_and_a_span_is_a_span(do, answers: Answers) -> None:
    asked = answers([a_node("two", "working")])
    assert do("node", "drain", "two", "--resume").out == "two accepts mail.\n"
    assert asked == [("POST", "/nodes/two/resume")]
    assert do("node", "drain", "two", "--resume", "--wait").code == Exit.USAGE
    assert do("node", "drain", "two", "--wait", "--timeout", "soon").code == Exit.USAGE
    assert len(asked) == 1


def test_a_node_is_removed_with_a_yes(do, answers: Answers) -> None:
    asked = answers([])
    assert do("node", "remove", "two").code == Exit.USAGE
    assert do("node", "remove", "two", said="n\n").code == Exit.CONFLICT
    assert asked == []
    assert do("node", "remove", "two", "--yes").out == "Removed the node two.\n"
    assert asked == [("DELETE", "/nodes/two")]
