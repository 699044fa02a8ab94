from __future__ import annotations

import json

import pytest

from pillarbox.cli.acting import _print_change
from pillarbox.cli.call import Call
from pillarbox.cli.client import Where
from pillarbox.cli.errors import Exit
from pillarbox.cli.queue import _print_deliveries, word_of


@pytest.fixture
def waiting(do) -> list[str]:
    """Two messages that wait, one with two recipients."""
    do("app", "set", "first-app", "--mode", "live", "--yes")
    return [
        do("send", "--to", "a@example.com", "-q").out.strip(),
        do("send", "--to", "b@example.com", "--to", "c@example.com", "-q").out.strip(),
    ]


def test_an_empty_queue_says_so(do) -> None:
    assert do("queue", "list").out == "Nothing waits.\n"
    assert do("queue", "list", "--deliveries").out == "Nothing waits that fits.\n"


def test_lanes_are_listed_with_what_waits_in_them(do, waiting: list[str]) -> None:
    said = do("queue", "list").out
    assert "first-app  its servers  Blocked        3" in said
    assert do("queue").out == said
    assert json.loads(do("queue", "list", "--json").out)["totals"]["waiting"] == 3


def test_deliveries_are_listed_on_request(do, waiting: list[str]) -> None:
    said = do("queue", "list", "--state", "queued").out
    assert all(f"{name}@example.com" in said for name in "abc")
    assert len(do("queue", "list", "--deliveries", "--limit", "2", "-q").out.split()) == 2
    assert do("queue", "list", "--state", "held").out == "Nothing waits that fits.\n"


def test_a_message_is_held_and_released(do, waiting: list[str]) -> None:
    assert do("queue", "hold", waiting[1]).out == "2 deliveries held.\n"
    assert "Held" in do("queue", "list", "--state", "held").out
    assert do("queue", "release", "--state", "held").out == "2 deliveries released.\n"


def test_a_dry_run_counts_and_changes_nothing(do, waiting: list[str]) -> None:
    said = do("queue", "hold", "--app", "first-app", "--dry-run").out
    assert said == "3 deliveries would be held; nothing was changed.\n"
    assert do("queue", "list", "--state", "held", "-q").out == ""


def test_single_deliveries_and_messages_can_be_named_together(do, waiting: list[str]) -> None:
    (delivery, *_) = do("queue", "list", "--deliveries", "-q").out.split()
    said = do("queue", "hold", waiting[1], delivery).out
    assert said == "3 deliveries held.\n"


def test_ending_many_deliveries_counts_first_and_asks(do, waiting: list[str]) -> None:
    refused = do("queue", "cancel", "--app", "first-app")
    assert refused.code == Exit.USAGE
    assert "Cancel 3 deliveries for good?" in refused.err
    assert do("queue", "cancel", "--app", "first-app", said="n\n").code == Exit.CONFLICT
    done = do("queue", "cancel", "--app", "first-app", said="y\n")
    assert done.out == "3 deliveries cancelled.\n"


def test_what_a_filter_meets_is_asked_about_be_it_a_single_delivery(do, waiting) -> None:
    do("queue", "cancel", waiting[1])
    refused = do("queue", "cancel", "--app", "first-app")
    assert refused.code == Exit.USAGE and "Cancel 1 delivery for good?" in refused.err


def test_ending_one_message_is_not_asked_about(do, waiting: list[str]) -> None:
    assert do("queue", "cancel", waiting[1]).out == "2 deliveries cancelled.\n"
    assert do("queue", "cancel", "--app", "first-app", "--yes").out == "1 delivery cancelled.\n"


def test_what_cannot_be_done_says_why(do, waiting: list[str]) -> None:
    do("queue", "cancel", waiting[0])
    done = do("queue", "retry", waiting[0])
    assert done.code == Exit.CONFLICT
    assert "0 deliveries due now." in done.out
    assert "Cancelled" in done.out


@pytest.mark.parametrize("arguments", [[], ["msg_00000000000", "--app", "x"]])
def test_it_must_be_said_which_deliveries_are_meant(arguments: list[str], do) -> None:
    assert do("queue", "retry", *arguments).code == Exit.USAGE


def test_a_state_in_which_nothing_waits_is_refused(do) -> None:
    assert do("queue", "hold", "--state", "delivered").code == Exit.USAGE


def test_many_refusals_are_counted_and_more_is_announced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusals = [{"id": f"dlv_{n}", "why": "It is final."} for n in range(12)]
    total = {
        "dry_run": False, "matched": 9, "changed": 9, "refused": 30, "refusals": refusals,
    }  # fmt: skip
    _print_change(Call(Where()), total, "held")
    said = capsys.readouterr().out
    assert said.count("It is final.") == 10
    assert "and 20 more were refused" in said


def test_an_uncertain_delivery_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    item = {
        "id": "dlv_1", "recipient": "a@example.com", "word": "Held", "uncertain": True,
        "attempts": 1, "accepted_at": None, "due_at": None,
    }  # fmt: skip
    _print_deliveries(Call(Where()), [item])
    said = capsys.readouterr().out
    assert "Held ?" in said
    assert "may have been delivered" in said


def test_a_state_of_a_newer_server_is_shown_as_it_is() -> None:
    assert word_of("handed_over") == "Handed over"
    assert word_of("teleported") == "teleported"


def test_the_lanes_are_shown_without_a_verb_and_say_why(do, waiting: list[str]) -> None:
    said = do("queue").out
    assert said == do("queue", "list").out
    assert "lane 1: The app has no active server that could take it." in said
    assert json.loads(do("queue", "--json").out)["items"][0]["state"] == "blocked"


def test_a_lane_is_paused_and_resumed(do, waiting: list[str]) -> None:
    assert do("queue", "pause", "1").out == "Mail of first-app to its servers is paused.\n"
    assert do("queue", "pause", "1").out.endswith("is paused, as before.\n")
    assert "Paused" in do("queue").out
    assert do("queue", "resume", "1").out == "Mail of first-app to its servers goes on.\n"
    assert do("queue", "pause", "77").code == Exit.NOT_FOUND


def test_mail_is_moved_after_it_was_counted_and_asked_about(do, waiting: list[str]) -> None:
    do("server", "add", "relay", "--host", "smtp.example.com")
    counted = do("queue", "move", "--lane", "1", "--to", "relay", "--dry-run").out
    assert counted == "3 deliveries would be moved; nothing was changed.\n"
    asked = do("queue", "move", "--lane", "1", "--to", "relay", said="n\n")
    assert asked.code == Exit.CONFLICT and "Move 3 deliveries?" in asked.err
    done = do("queue", "move", "--lane", "1", "--to", "relay", "--yes")
    assert done.out == "3 deliveries moved.\n"
    assert "only by relay" in do("queue").out
    refused = do("queue", "move", waiting[0], "--to", "nope")
    assert refused.code == Exit.CONFLICT
    assert "first-app has no server 'nope'; its servers: relay." in refused.out
    assert do("queue", "move", waiting[0]).code == Exit.USAGE


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--domain", "example.com"], 3),
        (["--domain", "example.net"], 0),
        (["--older-than", "1h"], 0),
        (["--sender", "nobody.example"], 0),
        (["--category", "busy"], 0),
    ],
)
def test_deliveries_are_meant_by_what_they_have_in_common(
    arguments: list[str], count: int, do, waiting: list[str]
) -> None:
    said = do("queue", "hold", *arguments, "--dry-run").out
    assert said.startswith(f"{count} deliver")
    assert len(do("queue", "list", *arguments, "-q").out.split()) == count


def test_the_status_names_what_is_paused_so_that_nobody_forgets_it(do, waiting: list[str]) -> None:
    assert "Paused" not in do("status").out
    do("queue", "pause", "1")
    assert "lane 1; pillarbox queue resume LANE" in do("status").out
    assert json.loads(do("status", "--json").out)["queue"]["paused_lanes"] == [1]
