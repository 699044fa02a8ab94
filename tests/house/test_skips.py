"""what is not tested here is said aloud, and fails where CI=true"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

pytestmark = pytest.mark.slow

TESTS = """
import os
import pytest

@pytest.mark.needs("no-such-command")
def test_that_needs_what_is_not_here(): pass

@pytest.mark.needs("sh")
def test_that_needs_what_is_here(): pass

@pytest.mark.by_design("the question does not arise")
def test_that_may_skip_itself(): pytest.skip("no question")

def test_that_sees_a_clean_environment(): assert "PILLARBOX_DATA_DIR" not in os.environ
"""


def run(folder: Path, tests: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A test session of its own with our conftest, from outside the repository."""
    (folder / "test_sample.py").write_text(tests)
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", str(folder)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=inherited | {"PILLARBOX_DATA_DIR": "/nowhere"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_component_is_listed_at_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 2 skipped" in done.stdout
    assert "NOT TESTED HERE" in done.stdout
    assert "1 test: no-such-command is missing (apt-get install no-such-command)" in done.stdout


def test_in_ci_a_missing_component_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS, CI="true")
    assert done.returncode == 1
    assert "2 passed, 1 skipped, 1 error" in done.stdout, done.stdout
    assert "a missing component is a failure" in done.stdout


@pytest.mark.parametrize(
    "how", ["importorskip('no_such_module')", "skip('no', allow_module_level=True)"]
)
def test_in_ci_a_whole_module_cannot_step_aside(tmp_path: Path, how: str) -> None:
    done = run(tmp_path, f"import pytest\npytest.{how}\n", CI="true")
    assert done.returncode != 0, done.stdout


def test_the_engines_are_named_at_the_top() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-m",
        "no",
        "tests/house/test_skips.py",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "engines: Python 3." in done.stdout
    assert "SQLite 3." in done.stdout
