"""./do finds its way: to the installed program, to a ready environment, away from a false pip"""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LOCK = "requirements.lock"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what ./do works with."""
    here = tmp_path / "a checkout"
    here.mkdir()
    for name in ("do", LOCK, "requirements-test.lock"):
        shutil.copy2(ROOT / name, here / name)
    return here


@pytest.fixture
def ready(checkout: Path) -> Path:
    """The same, with an environment that claims to be complete."""
    binaries = checkout / ".venv/bin"
    binaries.mkdir(parents=True)
    for name in ("python", "pillarbox"):
        (binaries / name).write_text(f'#!/bin/sh\necho {name}; pwd; for a; do echo "<$a>"; done\n')
        (binaries / name).chmod(0o755)
    script = f'cat "{checkout}/do" "{checkout}/{LOCK}" | cksum; printf "%s\\n" "{checkout}"'
    made_from = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    (checkout / ".venv" / f".made-from-{LOCK}").write_text(made_from.stdout)
    return checkout


def do(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ./do from another folder, with next to nothing in the environment."""
    elsewhere = checkout.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
        [str(checkout / "do"), *arguments],
        cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "HOME": str(elsewhere), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_verb_of_the_program_is_handed_on_as_it_was_typed(ready: Path) -> None:
    done = do(ready, "send", "--to", "you@example.com", "two words", "")
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "pillarbox"
    assert told[1] == str(ready.parent / "elsewhere"), "it runs where the user is"
    assert told[2:] == ["<send>", "<--to>", "<you@example.com>", "<two words>", "<>"]
    assert done.stderr == "", "a ready environment is nothing to talk about"


def test_a_changed_lock_is_noticed(ready: Path) -> None:
    (ready / LOCK).write_text("changed\n")
    done = do(ready, "version", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert done.returncode != 0, "the environment was taken as it was"


def test_no_verb_prints_the_verbs(checkout: Path) -> None:
    done = do(checkout)
    assert done.returncode == 0
    cases = set(re.findall(r"^    ([a-z]+)\)$", (ROOT / "do").read_text(), re.MULTILINE))
    assert {"check", "test", "prove", "bench", "crash", "docs"} <= cases
    assert all(f"  {verb} " in done.stdout for verb in cases)


def test_a_python_that_is_too_old_is_refused_in_words(checkout: Path) -> None:
    done = do(checkout, "version", PYTHON="/bin/false")
    assert done.returncode == 1
    assert "3.11" in done.stderr


def test_a_folder_that_is_no_environment_is_left_alone(checkout: Path) -> None:
    precious = checkout / ".venv/precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = do(checkout, "version", PYTHON=sys.executable)
    assert done.returncode == 1
    assert precious.read_text() == "mine"


@pytest.fixture
def false_index(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback that offers another file under pip's name."""
    version = re.search(r"^pip_version=(.+)$", (ROOT / "do").read_text(), re.MULTILINE)
    assert version is not None
    wheel = f"pip-{version[1]}-py3-none-any.whl"
    folder = tmp_path / "index"
    (folder / "simple/pip").mkdir(parents=True)
    (folder / "simple/pip/index.html").write_text(
        f'<a href="../../files/{wheel}#sha256=0">{wheel}</a>'
    )
    (folder / "files").mkdir()
    (folder / "files" / wheel).write_bytes(b"not what was pinned")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


def test_a_pip_that_is_not_the_pinned_file_is_never_run(checkout: Path, false_index: str) -> None:
    done = do(checkout, "version", PIP_INDEX_URL=false_index, PYTHON=sys.executable)
    assert done.returncode == 1
    assert "sha256 differs" in done.stderr
    assert not (checkout / ".venv/bin/pip").exists()


def test_an_index_out_of_reach_is_named(checkout: Path) -> None:
    done = do(checkout, "version", PIP_INDEX_URL="http://127.0.0.1:9/simple", PYTHON=sys.executable)
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
