from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pillarbox.cli.errors import Exit
from tests.unit.cli.conftest import Canned, Do

ASKED = {
    "host": "track.example.com",
    "state": "asked",
    "valid_until": None,
    "next_try": "2026-11-26T10:00:00.000Z",
    "last_try": None,
    "failures": 0,
    "words": "",
}
TRIED = ASKED | {"last_try": "2026-11-26T10:00:01.000Z"}
VALID = TRIED | {"state": "valid", "valid_until": "2027-02-24T10:00:00.000Z"}
FAILED = TRIED | {"state": "failing", "failures": 1, "words": "the authority said: no\x1b[31m"}
Answering = Callable[[object], Canned]


def after(found: dict[str, object]) -> dict[str, object]:
    """What is answered to the request, and to a look at the list a moment later."""
    return ASKED | {"items": [found], "next": None}


@pytest.mark.parametrize("verb", ["request", "renew"])
def test_nothing_is_asked_of_an_authority_whose_terms_nobody_agreed_to(do: Do, verb: str) -> None:
    done = do("certificate", verb, "track.example.com")
    assert done.code != Exit.DONE
    assert "acme.agree_terms" in done.err or verb == "renew"
    assert json.loads(do("certificate", "list", "--json").out)["items"] == []


def test_what_cannot_have_a_certificate_is_named_with_the_reason(do: Do) -> None:
    done = do("certificate", "request", "*.example.com")
    assert done.code == Exit.USAGE
    assert "port 80 cannot prove" in done.err


def test_a_host_that_was_not_asked_for_is_not_removed(do: Do) -> None:
    done = do("certificate", "remove", "track.example.com", "--yes")
    assert done.code == Exit.NOT_FOUND
    assert "pillarbox certificate list" in done.err


def test_a_request_waits_until_there_is_a_certificate_and_says_until_when(
    do: Do, answering: Answering
) -> None:
    asked = answering(after(VALID)).asked
    done = do("certificate", "request", "track.example.com")
    assert (done.code, done.out) == (
        Exit.DONE, "track.example.com has a certificate until 2027-02-24.\n",
    )  # fmt: skip
    assert asked[0][0] == "POST" and asked[0][2] == {"host": "track.example.com"}


def test_a_request_that_failed_says_why_and_what_to_do(do: Do, answering: Answering) -> None:
    answering(after(FAILED))
    done = do("certificate", "renew", "track.example.com")
    assert done.code != Exit.DONE
    assert "the authority said: no" in done.err and "\x1b" not in done.err
    assert "Port 80 of track.example.com" in done.err


def test_who_does_not_want_to_wait_is_told_where_to_look(do: Do, answering: Answering) -> None:
    answering(after(ASKED))
    done = do("certificate", "request", "track.example.com", "--timeout", "0s")
    assert done.code == Exit.DONE
    assert "certificate list" in done.out


def test_where_none_was_asked_for_the_list_says_how(do: Do) -> None:
    assert "certificate request HOST" in do("certificate", "list").out


def test_the_list_says_what_went_wrong(do: Do, answering: Answering) -> None:
    answering({"items": [VALID, FAILED], "next": None})
    lines = do("certificate", "list").out.splitlines()
    assert lines[0].split()[:2] == ["HOST", "STATE"]
    assert "2027-02-24" in lines[1]
    assert "the authority said: no" in lines[2]
