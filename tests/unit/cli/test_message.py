from __future__ import annotations

import json
import sys

import pytest

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, Where
from pillarbox.cli.errors import Exit
from pillarbox.cli.message import _print_event
from pillarbox.cli.output import Screen


@pytest.fixture
def sent(do) -> str:
    return do("send", "--to", "you@example.com", "--subject", "Hi\x1b[2Jthere", "-q").out.strip()


def test_nothing_yet_differs_from_nothing_that_fits(do) -> None:
    assert do("message", "list").out == "No message yet.\n"
    assert do("message", "list", "--state", "failed").out == "No message that fits.\n"


def test_messages_are_listed_newest_first(do) -> None:
    first = do("send", "--to", "a@example.com", "-q").out.strip()
    second = do("send", "--to", "b@example.com", "--to", "c@example.com", "-q").out.strip()
    assert do("message", "list", "-q").out.split() == [second, first]
    said = do("message", "list").out
    assert "b@example.com +1" in said
    assert "Kept" in said
    assert do("message", "list", "--limit", "1", "-q").out.split() == [second]
    assert do("message", "list", "--recipient", "a@example.com", "-q").out.split() == [first]
    assert do("messages", "ls", "--app", "first-app", "-q").out.split() == [second, first]


def test_a_mixed_message_tells_how_many_stand_like_that(do) -> None:
    from pillarbox.cli.message import _standing

    item = {"status": "failed", "word": "Failed", "states": {"failed": 1}, "recipient_count": 3}
    assert _standing(item) == "Failed 1/3"


def test_what_strangers_wrote_is_cleaned(do, sent: str) -> None:
    for arguments in (["message", "list"], ["message", "show", sent]):
        assert "\x1b" not in do(*arguments).out


def test_a_message_is_shown_with_its_recipients_and_their_history(do, sent: str) -> None:
    said = do("message", "show", sent).out
    assert "you@example.com" in said
    assert "first-app (sandbox)" in said
    assert "Kept" in said
    assert "accepted" in said
    document = json.loads(do("message", "show", sent, "--json").out)
    assert document["deliveries"][0]["history"]


def test_what_was_left_as_it_is_is_told_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = {
        "at": "2026-11-20T10:00:00.000Z",
        "kind": "message.left_as_it_is",
        "facts": {"remarks": ["There is no tracking host.", "It was enclosed."]},
    }
    _print_event(Call(Where(), Screen()), event, dialogue=False)
    assert capsys.readouterr().out.endswith(
        "left as it is  There is no tracking host. It was enclosed.\n"
    )


def test_an_attempt_is_told_with_its_reply_and_on_request_its_dialogue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = {
        "at": "2026-11-20T10:00:00.000Z",
        "kind": "delivery.deferred",
        "facts": {
            "number": 2,
            "words": "",
            "code": 452,
            "status": "4.2.2",
            "text": "mailbox\x07 full",
            "dialogue": [{"ms": 12, "line": "RCPT TO:<x>\x1b[31m"}],
        },
    }
    call = Call(Where(), Screen())
    _print_event(call, event, dialogue=False)
    said = capsys.readouterr().out
    assert "deferred" in said and "attempt 2: 452 4.2.2 mailbox� full" in said
    assert "RCPT" not in said
    _print_event(call, event, dialogue=True)
    said = capsys.readouterr().out
    assert "12 ms  RCPT TO:<x>�[31m" in said


def test_raw_content_is_exact_in_a_pipe_and_tame_on_a_terminal(
    do, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "raw", lambda *_: b"a\x07b\r\nc\r\n")
    assert do("message", "raw", "msg_1").out == "a\x07b\r\nc\r\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert do("message", "raw", "msg_1").out == "a�b\nc\n"


@pytest.mark.parametrize("verb", ["show", "raw"])
def test_an_unknown_message_is_not_found(verb: str, do) -> None:
    assert do("message", verb, "msg_00000000000").code == Exit.NOT_FOUND


def test_a_message_is_explained_recipient_by_recipient(do) -> None:
    do("app", "set", "first-app", "--mode", "live", "--yes")
    do("server", "add", "relay", "--host", "smtp.example.com")
    message = do("send", "--to", "a@example.com", "--subject", "Hello", "-q").out.strip()
    said = do("message", "explain", message).out
    assert said.startswith("Hello\n")
    assert "a@example.com" in said
    assert "Way: first-app has no rules, so its order holds." in said
    assert "relay is tried first. It has not been tried yet." in said
    assert "Should that fail as well, attempt 2 follows about" in said
    assert do("message", "explain", message, "-q").out.strip() == message
