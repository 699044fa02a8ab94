"""the commands shown on our pages exist, and the README's two do what it says"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.house.tree import ROOT, modules, pages

SHOWN = re.compile(r"(?:`|^\$ )\./do(?: ([^`\n]*))?", re.MULTILINE)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def own_verbs() -> set[str]:
    return set(re.findall(r"^    ([a-z]+)\)$", (ROOT / "do").read_text(), re.MULTILINE))


def typed_in(text: str) -> list[list[str]]:
    """Each command shown, in words."""
    return [shlex.split(line, comments=True) for line in SHOWN.findall(text)]


def wrong_word(words: list[str]) -> str:
    """The first word that is neither a command nor an option of one; empty where all is right."""
    from pillarbox.cli.main import cli

    command: click.Command = cli
    context = click.Context(cli, info_name="pillarbox")
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            if word not in command.list_commands(context):
                return word
            found = command.get_command(context, word)
            assert found is not None
            command, context = found, click.Context(found, info_name=word, parent=context)
        elif word.startswith("-"):
            options = {opt for param in command.get_params(context) for opt in param.opts}
            if word.partition("=")[0] not in options:
                return word
    return ""


def test_every_command_shown_on_a_page_exists() -> None:
    wrong = []
    for page in pages():
        for words in typed_in(page.read_text(encoding="utf-8")):
            known = not words or words[0] in own_verbs() | {"VERB"}
            if not known and (stray := wrong_word(words)):
                wrong.append(f"{page.relative_to(ROOT)}: ./do {' '.join(words)}: no {stray}")
    assert not wrong, "\n".join(wrong)


def test_every_command_the_program_recommends_exists() -> None:
    """A fix that names a command nobody can type is worse than none."""
    mention = re.compile(
        r"(?:\bpillarbox|run_as\(\)\}) ((?:[a-z][a-z-]*|--[a-z-]+)(?: --?[a-z-]+| [a-z-]+)*)"
    )
    wrong = []
    for module in modules():
        for shown in mention.findall(module.text):
            words = shown.split()
            if words[0] != "import" and (stray := wrong_word(words)):
                wrong.append(f"{module.name}: pillarbox {shown}: no {stray}")
    assert not wrong, "\n".join(wrong)


def test_the_readme_opens_with_two_commands_and_then_the_tests() -> None:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    assert blocks[0] == "$ ./do up\n"
    assert blocks[1] == "$ ./do send --to you@example.com\n"
    first_screen = "\n".join(README.splitlines()[:30])
    assert blocks[0] in first_screen and blocks[1] in first_screen
    assert "$ ./do test\n" in README


class Running:
    """`./do up` in a folder of its own, its output read as it comes."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PILLARBOX_")
        } | {"VENV": sys.prefix}
        self.folder = folder
        self.process = subprocess.Popen(
            [str(ROOT / "do"), "up"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.said.append(line)
                self.changed.notify_all()

    def wait_for(self, words: str, seconds: float) -> None:
        """Until a line holds `words`."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not any(words in line for line in self.said):
                left = deadline - time.monotonic()
                assert left > 0 and self.process.poll() is None, "".join(self.said)
                self.changed.wait(min(left, 0.2))

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """A command as the README shows it, in another terminal."""
        words = shlex.split(line)
        assert words[0] == "./do"
        return subprocess.run(
            [str(ROOT / "do"), *words[1:]],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def stop(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Running]:
    if not Path(sys.prefix, ".made-from-requirements-test.lock").exists():
        pytest.skip("this environment was not made by ./do")
    running = Running(tmp_path)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@pytest.mark.slow
def test_the_two_commands_of_the_readme_lead_to_a_first_message(up: Running) -> None:
    up.wait_for("Ready", 30)
    done = up.type("./do send --to you@example.com")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "you@example.com" in done.stdout
    assert re.search(r"\bmsg_[0-9A-Z]+", done.stdout)
    assert "sandbox" in (done.stdout + done.stderr).lower(), "nothing is sent out unasked"
    up.wait_for("you@example.com", 10)
    assert up.stop() == 0
    assert not any("Traceback" in line for line in up.said)
