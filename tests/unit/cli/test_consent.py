from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.cli import consent
from pillarbox.cli.errors import Exit


@pytest.fixture
def gmail(do, directory: Path) -> None:
    (directory / "secret").write_text("s3cret")
    done = do(
        "server", "add", "gmail", "--oauth", "google", "--client-id", "c",
        "--client-secret-file", "secret", "--username", "me@gmail.com",
    )  # fmt: skip
    assert done.code == Exit.DONE, done.err


def test_nobody_signs_in_where_nobody_is(do, gmail) -> None:
    done = do("server", "authorize", "gmail")
    assert done.code == Exit.USAGE
    assert "--refresh-token-file" in done.err


def test_the_address_to_open_is_shown_and_another_than_the_right_one_is_refused(do, gmail) -> None:
    done = do("server", "authorize", "gmail", said="http://127.0.0.1:53682/?code=x&state=y\n")
    assert done.code != Exit.DONE
    assert "https://accounts.google.com/o/oauth2/v2/auth?" in done.err
    assert "sign in as me@gmail.com" in done.err
    assert "not the address the browser ended at" in done.err
    assert "s3cret" not in done.out + done.err


class Answers:
    """A running Pillarbox that is asked again and again."""

    def __init__(self, *answers: dict[str, object]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def post(self, path: str, document: object) -> dict[str, object]:
        self.asked.append(path)
        return self.answers.pop(0)


def test_whoever_enters_a_code_is_waited_for_as_long_as_was_said(monkeypatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(consent.time, "sleep", slept.append)
    client = Answers({"done": False, "interval": 12}, {"done": True, "interval": 0})
    assert consent._wait(client, "/p", {"expires_in": 900, "interval": 5})  # type: ignore[arg-type]
    assert slept == [5, 12]
    assert client.asked == ["/p/finish", "/p/finish"]


def test_a_code_that_has_expired_is_not_asked_for_again() -> None:
    assert not consent._wait(Answers(), "/p", {"expires_in": 0, "interval": 5})  # type: ignore[arg-type]
