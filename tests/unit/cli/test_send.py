from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pillarbox.cli import call
from pillarbox.cli.client import Client, Where
from pillarbox.cli.errors import ApiProblem, Exit
from pillarbox.cli.main import run


def test_to_is_all_that_is_needed(do) -> None:
    done = do("send", "--to", "you@example.com")
    assert done.code == Exit.DONE, done.err
    first, second, third, fourth = done.out.splitlines()
    assert first == "Kept in the sandbox."
    assert second.split()[0].startswith("msg_")
    assert second.split()[1:] == ["you@example.com", '"Hello', "from", 'Pillarbox"']
    assert third == f"Next: pillarbox message show {second.split()[0]}"
    assert fourth == "      pillarbox app set first-app --mode live   (to send for real)"


def test_everything_about_a_message_can_be_said(do) -> None:
    sent = json.loads(
        do(
            "send", "--to", "a@example.com", "--to", "b@example.com", "--from", "me@example.com",
            "--subject", "Grüße", "--text", "text", "--html", "<b>html</b>", "--json",
        ).out
    )  # fmt: skip
    assert [each["recipient"] for each in sent["deliveries"]] == ["a@example.com", "b@example.com"]
    content = do("message", "raw", sent["id"]).out
    assert "From: me@example.com" in content
    assert "<b>html</b>" in content


def test_quiet_prints_the_id_alone(do) -> None:
    said = do("send", "--to", "you@example.com", "-q").out
    assert said.startswith("msg_") and len(said.split()) == 1


@pytest.mark.parametrize("part", ["--text", "--html"])
def test_a_text_may_come_from_a_pipe(part: str, do, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("from the pipe"))
    sent = do("send", "--to", "you@example.com", part, "-", "-q").out.strip()
    assert "from the pipe" in do("message", "raw", sent).out


def test_one_pipe_cannot_fill_two_parts(do) -> None:
    assert do("send", "--to", "a@example.com", "--text", "-", "--html", "-").code == Exit.USAGE


def test_the_author_of_the_app_is_taken_where_it_has_one(do) -> None:
    do("app", "set", "first-app", "--from-address", "shop@example.com")
    sent = do("send", "--to", "you@example.com", "-q").out.strip()
    assert "From: shop@example.com" in do("message", "raw", sent).out


def test_mail_of_a_live_app_waits_where_nothing_runs(do, monkeypatch) -> None:
    do("app", "set", "first-app", "--mode", "live", "--yes")
    monkeypatch.setattr(Client, "offline", True)
    said = do("send", "--to", "you@example.com").out
    assert said.startswith("Taken; it waits on disk.")
    assert "pillarbox up starts one" in said


def test_mail_on_hold_shows_how_to_release_it(do) -> None:
    do("app", "set", "first-app", "--mode", "hold")
    said = do("send", "--to", "you@example.com").out
    assert said.startswith("Held until somebody releases it.")
    assert "pillarbox queue release msg_" in said


def test_a_recipient_that_is_none_is_refused(do) -> None:
    done = do("send", "--to", "nobody")
    assert done.code == Exit.USAGE
    assert "nobody" in done.err or "to" in done.err


def test_without_a_recipient_a_script_is_told_the_flag(do) -> None:
    assert "--to ADDRESS" in do("send").err


def test_a_whole_message_excludes_its_parts(do, directory: Path) -> None:
    (directory / "m.eml").write_text("Subject: x\n\nhi")
    assert do("send", "--to", "a@b.c", "--file", "m.eml", "--subject", "x").code == Exit.USAGE
    assert "cannot read gone.eml" in do("send", "--to", "a@b.c", "--file", "gone.eml").err


class Narrow:
    """A client with a key that may send and nothing else."""

    offline = False

    def __init__(self) -> None:
        self.posted: Any = None

    def get(self, path: str, **_: object) -> Any:
        raise ApiProblem(403, {"code": "permission_denied"})

    items = get

    def post(self, path: str, document: Any) -> Any:
        self.posted = document
        return {"id": "msg_1", "status": "queued", "deliveries": []}

    def __enter__(self) -> Narrow:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Narrow:
    client = Narrow()
    monkeypatch.setattr(call, "connected", lambda _: client)
    return client


def test_a_key_that_may_only_send_is_enough(
    narrow: Narrow, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", "--to", "you@example.com"]) == Exit.DONE
    assert "from" not in narrow.posted
    assert "on its way" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["m.eml", "-"])
def test_a_whole_message_is_handed_over_byte_for_byte(
    source: str, narrow: Narrow, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"Subject: x\r\n\r\n\xff bytes"
    (directory / "m.eml").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(["send", "--to", "you@example.com", "--file", source]) == Exit.DONE
    assert base64.b64decode(narrow.posted["raw_base64"]) == content
    assert narrow.posted["to"] == ["you@example.com"]
    assert "subject" not in narrow.posted


def test_another_refusal_is_not_swallowed(narrow: Narrow, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise ApiProblem(500, {"code": "internal"})

    monkeypatch.setattr(narrow, "items", refuse)
    assert run(["send", "--to", "you@example.com"]) == Exit.FAILED
    assert narrow.posted is None
    assert Where().server is None


def test_a_whole_message_arrives_as_it_was_written(do, directory: Path) -> None:
    (directory / "m.eml").write_text(
        "From: Ann <ann@example.com>\nX-Odd:  kept   as it is\nSubject: x\n\nhi\n"
    )
    sent = do("send", "--to", "you@example.com", "--file", "m.eml", "-q")
    assert sent.code == Exit.DONE, sent.err
    content = do("message", "raw", sent.out.strip()).out
    assert "From: Ann <ann@example.com>" in content
    assert "X-Odd:  kept   as it is" in content
