"""nodes over the API: who is seen, by whom, in which state, and asking one to drain"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.api.v1.nodes import NodeState, is_alive, node_view, state_of
from pillarbox.handover.gate import Gate
from pillarbox.policy.directory import Account
from pillarbox.storage.interface.nodes import NodeFacts, NodeLoad
from pillarbox.terms.ids import new_object_id
from tests.fix_api_face import Face

NODE = NodeFacts(
    name="two", number=2, version="1.2.3", roles=("smtp", "deliver"), alive=True, ended=False,
    draining=False, started_at=1_000, beat_at=61_000,
    load=NodeLoad(messages=3, sessions=1, accepted=9, settled=6),
)  # fmt: skip
EMPTY = NodeLoad(draining=True)


# --- what is seen -----------------------------------------------------------------------------


async def test_a_store_used_alone_has_one_node_which_is_here(face: Face) -> None:
    (node,) = (await face.own("GET", "/nodes")).json()["items"]
    assert (node["name"], node["number"], node["state"]) == ("one", 0, "working")
    assert node["roles"] == ["smtp", "http", "deliver"]
    assert node["version"] == "1.2.3"
    assert node["alive"] is True and node["draining"] is False
    assert node["started_at"] <= node["last_sign_of_life"]


def test_a_node_is_told_with_what_it_said_of_itself() -> None:
    assert node_view(NODE) == {
        "name": "two",
        "number": 2,
        "state": "working",
        "alive": True,
        "draining": False,
        "roles": ("smtp", "deliver"),
        "version": "1.2.3",
        "started_at": "1970-01-01T00:00:01.000Z",
        "last_sign_of_life": "1970-01-01T00:01:01.000Z",
        "load": {"messages": 3, "sessions": 1, "accepted": 9, "settled": 6},
    }


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, NodeState.WORKING),
        ({"draining": True}, NodeState.DRAINING),
        ({"draining": True, "load": NodeLoad()}, NodeState.DRAINING),
        ({"draining": True, "load": NodeLoad(messages=1, draining=True)}, NodeState.DRAINING),
        ({"draining": True, "load": EMPTY}, NodeState.DRAINED),
        ({"load": EMPTY}, NodeState.WORKING),
        ({"alive": False}, NodeState.SILENT),
        ({"alive": False, "draining": True, "load": EMPTY}, NodeState.SILENT),
        ({"alive": False, "ended": True}, NodeState.STOPPED),
        ({"roles": ()}, NodeState.STOPPED),
    ],
)
def test_a_node_has_one_state_in_a_word(change: dict, state: NodeState) -> None:
    node = replace(NODE, **change)
    assert state_of(node) is state
    assert is_alive(node) is (state not in ("silent", "stopped"))


def test_a_node_that_a_command_only_looked_into_does_not_seem_to_have_run() -> None:
    seen = node_view(replace(NODE, roles=()))
    assert (seen["started_at"], seen["last_sign_of_life"]) == (None, None)


async def test_the_status_names_the_node_that_answers(face: Face) -> None:
    await face.storage.nodes.drain("one", draining=True)
    assert (await face.own("GET", "/status")).json()["node"] == {
        "name": "one",
        "state": "draining",
        "roles": ["smtp", "http", "deliver"],
        "draining": True,
        "nodes_alive": 1,
    }


async def test_the_status_counts_the_nodes_that_live(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await face.storage.nodes.nodes()

    async def three() -> list[NodeFacts]:
        return [*here, NODE, replace(NODE, number=3, name="three", alive=False)]

    monkeypatch.setattr(face.storage.nodes, "nodes", three)
    status = (await face.own("GET", "/status")).json()
    assert (status["node"]["name"], status["node"]["nodes_alive"]) == ("one", 2)


# --- draining ---------------------------------------------------------------------------------


async def test_a_node_is_drained_and_works_again(face: Face) -> None:
    rung: list[bool] = []
    face.storage.nodes.listen("nodes", lambda: rung.append(True))
    drained = await face.own("POST", "/nodes/one/drain")
    assert (drained.status, drained.json()["state"]) == (200, "draining")
    assert rung, "the node itself need not wait for its next sign of life"
    await face.storage.nodes.beat(EMPTY)
    (node,) = (await face.own("GET", "/nodes")).json()["items"]
    assert node["state"] == "drained"
    resumed = await face.own("POST", "/nodes/one/resume")
    assert (resumed.status, resumed.json()["state"]) == (200, "working")


async def test_a_draining_node_takes_no_mail_and_answers_everything_else(face: Face) -> None:
    gate = Gate(1, 1)
    face.rebuild(gate=gate)
    gate.drain(True)
    refused = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    assert (refused.status, refused.json()["code"]) == (503, "node_draining")
    assert (await face.own("GET", "/messages")).status == 200
    assert (await face.ask("GET", "/readyz")).status == 503
    gate.drain(False)
    taken = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    assert taken.status == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/nodes/x/drain"), ("POST", "/nodes/x/resume"), ("DELETE", "/nodes/x")],
)
async def test_a_node_nobody_knows_is_not_found(face: Face, method: str, path: str) -> None:
    answer = await face.own(method, path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["fix"] == "List them: pillarbox node list"


async def test_a_node_that_lives_is_not_removed(face: Face) -> None:
    answer = await face.own("DELETE", "/nodes/one")
    assert (answer.status, answer.json()["code"]) == (409, "wrong_state")
    assert (await face.own("GET", "/nodes")).json()["items"]


# --- who may ----------------------------------------------------------------------------------

EVERY_ROUTE = [
    ("GET", "/nodes"), ("POST", "/nodes/one/drain"), ("POST", "/nodes/one/resume"),
    ("DELETE", "/nodes/one"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
async def test_a_key_of_one_app_knows_nothing_of_nodes(face: Face, method: str, path: str) -> None:
    key = await face.new_key(app=face.app.id)
    assert (await face.own(method, path, key=key)).status == 403
    status = await face.own("GET", "/status", key=key)
    assert status.json()["node"] is None


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
async def test_a_key_of_one_account_among_others_knows_nothing_of_nodes(
    face: Face, method: str, path: str
) -> None:
    await face.storage.directory.save_account(Account(new_object_id(), "other"))
    assert (await face.own(method, path)).status == 403
    assert (await face.own("GET", "/status")).json()["node"] is None
    assert (await face.own("GET", "/nodes", owner=True)).status == 200


async def test_a_key_that_may_only_read_changes_no_node(face: Face) -> None:
    key = await face.new_key(verbs=("read",))
    assert (await face.own("GET", "/nodes", key=key)).status == 200
    for method, path in EVERY_ROUTE[1:]:
        assert (await face.own(method, path, key=key)).status == 403
    assert (await face.own("GET", "/nodes", key=None)).status == 401
