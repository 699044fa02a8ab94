from __future__ import annotations

import json

from pillarbox.cli.errors import Exit

WRONG = {
    "reference": "q6qd9xs7", "kind": "wrong_password", "what": "Wrong password for web.",
    "fix": "Enter the password again.", "address": "192.0.2.7", "port": 587, "username": "web",
    "credential": "web", "count": 14, "first_at": "2026-01-01T00:00:00.000Z",
    "last_at": "2026-01-02T00:00:00.000Z",
}  # fmt: skip
AWAY = {**WRONG, "what": "Sent away\x1b[2J.", "port": None, "count": 1, "reference": "00000000"}


def test_without_problems_there_is_a_friendly_line(do) -> None:
    said = do("credential", "problems")
    assert (said.code, said.out) == (Exit.DONE, "No connection problems.\n")
    assert do("credential", "problems", "--credential", "first-app").out == (
        "No connection problems of first-app.\n"
    )
    unknown = do("credential", "problems", "q6qd9xs7")
    assert unknown.code == Exit.DONE and "Nothing is known under q6qd9xs7." in unknown.out
    assert do("credential", "problems", "--credential", "nobody").code == Exit.NOT_FOUND


def test_a_problem_says_what_how_often_and_what_to_change(do, answering) -> None:
    answering({"items": [WRONG, AWAY], "next": None})
    first, second = do("credential", "problems").out.split("\n\n")
    what, facts, fix = first.splitlines()
    assert what == "Wrong password for web."
    assert facts.startswith("  14 times, last ") and ", first " in facts
    assert facts.endswith("; from 192.0.2.7 to port 587; ref q6qd9xs7")
    assert fix == "  Enter the password again."
    what, facts, _ = second.splitlines()
    assert "\x1b" not in what
    assert facts.startswith("  Once, ") and facts.endswith("; from 192.0.2.7; ref 00000000")


def test_what_is_asked_for_is_asked_for(do, answering) -> None:
    canned = answering({"items": [], "next": None})
    do("credential", "problems", "Q6QD9XS7", "--credential", "web", "--limit", "3")
    ((method, path, _),) = canned.asked
    assert method == "GET"
    assert path.endswith("/credentials/problems?reference=Q6QD9XS7&credential=web&limit=3")


def test_a_program_gets_problems_as_json_and_references_by_themselves(do, answering) -> None:
    answering({"items": [WRONG], "next": None})
    assert json.loads(do("credential", "problems", "--json").out)["items"] == [WRONG]
    assert do("credential", "problems", "-q").out == "q6qd9xs7\n"
