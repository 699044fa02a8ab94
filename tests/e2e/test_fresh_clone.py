"""a clone, an empty environment and two commands: mail comes in and, once told, goes out

Installs the pinned wheels from the package index, as anybody's first minute does. With ``--engine
postgres`` a database is named in the environment, and nothing else is different.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.hands import (
    Scene,
    curl_starttls,
    curl_tls,
    office,
    over_http,
    pillarbox_send,
    postfix_starttls,
    smtplib_starttls,
    smtplib_tls,
    swaks_starttls,
)
from tests.e2e.letters import BODY, body_of
from tests.e2e.product import ROOT, FirstSecrets, in_environment
from tests.e2e.terminal import Terminal

CTRL_C = "\x03"

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.root,
    pytest.mark.needs("git", "saslpasswd2", "swaks", "curl"),
    pytest.mark.slow,
]


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, f"no {pattern!r} in:\n{text}"
    return match[1]


@dataclass
class Clone:
    """A work tree nobody has used yet, and what its terminal said at the first start."""

    folder: Path
    home: Path
    database: str = ""
    shown: str = ""

    @property
    def env(self) -> dict[str, str]:
        """PATH and HOME, and where mail rests; our own virtual environment is not on that PATH."""
        paths = os.environ["PATH"].split(os.pathsep)
        ours = Path(sys.prefix) / "bin"
        return {
            "PATH": os.pathsep.join(path for path in paths if Path(path) != ours),
            "HOME": str(self.home),
            **in_environment(self.database),
        }

    def up(self) -> Terminal:
        """``./do up``, in a terminal."""
        return Terminal(["./do", "up"], cwd=self.folder, env=self.env)

    def call(self, *arguments: str, stdin: str = "") -> str:
        """``./do`` with another verb, in another terminal; what it printed."""
        done = subprocess.run(
            ["./do", *arguments], input=stdin, cwd=self.folder, env=self.env,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def first(self) -> FirstSecrets:
        """As a person reads them off the terminal."""
        return FirstSecrets(
            found(r"^  Username +(\S+)$", self.shown),
            found(r"^  Password +(\S+)$", self.shown),
            found(r"^  Key +(\S+)$", self.shown),
        )

    @property
    def ca(self) -> Path:
        """The file that is named there."""
        return self.folder / found(r"^  CA +(\S+)", self.shown)

    @property
    def url(self) -> str:
        """Without the path of our own API."""
        return found(r"^  HTTP API +(http\S+)/pillarbox/v1$", self.shown)

    def port(self, security: str) -> int:
        """As it is told there, the usual one or its neighbour."""
        return int(found(rf"port (\d+) \({security}\)", self.shown))


@pytest.fixture
def short() -> Iterator[Path]:
    """A path with few letters: the name of a socket below it may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="clone-") as folder:
        yield Path(folder)


@pytest.mark.timeout(170)
async def test_two_commands_lead_to_a_first_mail_and_five_more_to_a_real_one(
    tmp_path: Path, short: Path, new_database: Callable[[], str]
) -> None:
    clone = Clone(short / "clone", short / "home", new_database())
    clone.home.mkdir()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone.folder)], check=True, timeout=60)

    async with clone.up() as terminal:
        await terminal.until("Ready in", seconds=120)
        clone.shown = terminal.text
        assert "SANDBOX" in clone.shown

        said = await asyncio.to_thread(clone.call, "send", "--to", "you@example.com")
        assert "Kept in the sandbox." in said
        message = found(r"(msg_\w+)", said)
        await terminal.until(message, seconds=10)
        told = await asyncio.to_thread(clone.call, "message", "show", message)
        assert "you@example.com" in told and "Kept" in told

        async with office(tmp_path) as place:
            await asyncio.to_thread(place.connect, clone)
            scene = Scene(clone, place, tmp_path)
            for hand in (
                pillarbox_send, swaks_starttls, curl_starttls, curl_tls, smtplib_starttls,
                smtplib_tls, postfix_starttls,
            ):  # fmt: skip
                recipient = f"{hand.__name__}@example.org"
                await hand(scene, recipient)
                arrived = await place.arrived(recipient)
                assert body_of(arrived.content) == BODY, hand.__name__
            await over_http(scene, "http@example.org")
            assert all(m.recipients[0].address != "you@example.com" for m in place.sink.messages)

        terminal.press(CTRL_C)
        assert await terminal.ended() == 0
        assert "Stopped." in terminal.text

    async with clone.up() as terminal:
        await terminal.until("Ready in", seconds=20)
        assert clone.first.password not in terminal.text
        assert clone.first.key not in terminal.text
        assert message in await asyncio.to_thread(
            clone.call, "message", "list", "--recipient", "you@example.com"
        )
