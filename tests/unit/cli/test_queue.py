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
