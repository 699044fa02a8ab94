"""what was compiled does what its source does: the tests say the same of both"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.compile import STAMP, modules

ROOT = Path(__file__).parents[2]
COMPILED = Path(sys.prefix) / "compiled"

pytestmark = [
    pytest.mark.needs("gcc"), pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900),
]  # fmt: skip

_SENTENCES = """
import importlib, json, pkgutil, sys
import pillarbox
from pillarbox.terms.errors import PillarboxError
for module in pkgutil.walk_packages(pillarbox.__path__, "pillarbox."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
def below(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from below(sub)
said = {}
for kind in below(PillarboxError):
    try:
        said[f"{kind.__module__}.{kind.__name__}"] = [kind().sentence, kind().error_code]
    except (AttributeError, TypeError):
        pass  # one that is only the root of others, or that must be told what to say
json.dump([said, sys.modules["pillarbox.protocol.server"].__file__], sys.stdout)
"""

_SAME_OF_BOTH = (
    "tests/unit/protocol", "tests/unit/message", "tests/unit/policy", "tests/pair",
    "tests/dialogue", "tests/fuzz", "tests/contract", "tests/crash/test_walk.py", "tests/wire",
    "tests/service/test_failover.py", "tests/service/test_checkpoint.py",
    "tests/service/test_slots.py",
)  # fmt: skip
_LOOK_INSIDE = (
    "tests/unit/protocol/test_conversation.py", "tests/unit/protocol/test_opening.py",
    "tests/fuzz/test_found.py", "tests/fuzz/test_targets.py",
)  # fmt: skip
"""They put classes of their own below ours, or parts of their own in, which what is compiled does
not allow.
"""
_SOURCE_ONLY = ("tests/fuzz/test_guided.py",)
"""Its engine instruments the source, whatever else there is."""
_OTHER_ROOMS = (
    "tests/contract/test_migrate.py", "tests/contract/test_opening.py",
    "tests/contract/test_plans.py",
)  # fmt: skip
"""About tables, their indexes and their versions: nothing of that is compiled."""
_COPIES_IN_TROUBLE = tuple(
    f"tests/contract/test_copy.py::test_{name}"
    for name in (
        "killed_", "what_was_copied_is_not_written_twice", "a_source_that_was_used_since",
        "rows_that_were_tampered_with", "a_first_pass_runs_beside", "a_store_is_opened_again",
    )
)  # fmt: skip
"""A copy is made by what is not compiled, from and to what is. That all of it arrives on either
engine, in order and with the same sums, is seen here; what becomes of a copy that is killed, or meets
other rows than its own, is up to the source alone.
"""
_PATCHED = ("tests/unit/message/test_dkim.py::test_a_key_that_receivers_do_not_take_is_refused",)
"""It changes a constant, which stands in the code that was compiled."""
_ON_ONE_LOOP = "not (hostile and asyncio)"
"""What is compiled meets both loops in every other test on the wire; the hostile peers, whose lines
are read behind the loop, come by the one that is used as shipped.
"""


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "compile.py"), str(COMPILED)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {**kept, **more}


def _sentences(first: Path) -> tuple[dict[str, list[str]], str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _SENTENCES],
        env=_environment(PYTHONPATH=str(first)),
        capture_output=True,
        text=True,
        check=True,
    )
    said, where = json.loads(done.stdout)
    return said, where


def test_every_error_says_the_same() -> None:
    compiled, where = _sentences(COMPILED)
    assert where.endswith(".so")
    plain, where = _sentences(ROOT / "src")
    assert where.endswith(".py")
    assert len(plain) > 30
    assert compiled == plain


def test_the_tests_say_the_same(request: pytest.FixtureRequest) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-n", "4", "-p", "no:cacheprovider",
            "-k", _ON_ONE_LOOP,
            "-o", f"pythonpath={COMPILED} .", f"--engine={request.config.getoption('--engine')}",
            *_SAME_OF_BOTH,
            *(f"--ignore={path}" for path in (*_LOOK_INSIDE, *_SOURCE_ONLY, *_OTHER_ROOMS)),
            *(f"--deselect={name}" for name in (*_COPIES_IN_TROUBLE, *_PATCHED)),
        ],
        cwd=ROOT,
        env=_environment(PYTHONPATH=str(COMPILED)),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]


def _runs(**more: str) -> str:
    """Where the installed command takes the server session from."""
    done = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "pillarbox"), "serve", "--help"],
        env=_environment(PYTHONVERBOSE="1", **more),
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stderr.splitlines() if "pillarbox/__init__" in line][:1]
    return line


def test_what_is_compiled_is_run_until_a_source_is_newer() -> None:
    assert str(COMPILED) in _runs()
    assert str(COMPILED) not in _runs(PILLARBOX_PLAIN="1")
    stamp = COMPILED / STAMP
    made_at = stamp.stat().st_mtime
    os.utime(stamp, (0, 0))
    try:
        assert str(COMPILED) not in _runs()
    finally:
        os.utime(stamp, (made_at, made_at))
    assert str(COMPILED) in _runs()


def test_only_what_is_listed_is_compiled() -> None:
    made = {
        str(path.relative_to(COMPILED)).split(".cpython")[0] + ".py"
        for path in COMPILED.glob("pillarbox/**/*.so")
        if "__mypyc" not in path.name
    }
    assert made == set(modules())
