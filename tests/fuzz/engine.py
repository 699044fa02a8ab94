"""one target under the coverage-guided engine: python -m tests.fuzz.engine TARGET [OPTIONS OF LIBFUZZER]

A process of its own, because the engine never returns: it ends the process. What it covers is the
source of the package, never what was compiled from it; the stores and their threads are left out,
so that the same input always covers the same. Findings are files that the option ``-artifact_prefix``
places.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
_ASK = 0xFFFFFFFF
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_AFRESH = "PILLARBOX_FUZZ_AFRESH"
_LEFT_OUT = ("pillarbox/storage", "pillarbox/observe", "pillarbox/settings", "pillarbox/cli")

CPU_SECONDS = 4.0
"""More than that for one input is a hang, though it ends; the slowest take a twentieth of it."""


def bounded(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same, and whoever takes too long has failed."""

    def check(data: bytes) -> None:
        began = time.process_time()
        run(data)
        spent = time.process_time() - began
        assert spent < CPU_SECONDS, f"{len(data)} bytes took {spent:.1f} seconds of the processor"

    return check


def begin_afresh() -> None:
    """Begin again in a child, which goes when this process goes.

    Without randomised addresses, where the system lets us: the engine's choices depend on them, and the
    same seed is to lead to the same inputs. And with a peak of memory of its own: getrusage(2) counts
    what a process had before it executed another program, so whoever was started by a large one would
    have grown before it began.
    """
    if os.environ.pop(_AFRESH, ""):
        return
    libc = ctypes.CDLL(None)
    now = libc.personality(_ASK)
    if now >= 0:
        libc.personality(now | _NO_RANDOM_ADDRESSES)
    child = os.fork()
    if not child:
        libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.environ[_AFRESH] = "1"
        os.execv(sys.executable, [sys.executable, "-P", "-m", "tests.fuzz.engine", *sys.argv[1:]])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Does not return."""
    begin_afresh()
    name = sys.argv.pop(1)
    paths = [path for folder in _LEFT_OUT for path in (SOURCE / folder).rglob("*.py")]
    left_out = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths]
    with atheris.instrument_imports(include=["pillarbox"], exclude=left_out):
        from pillarbox.protocol import server
        from tests.fuzz.targets import load

        target = load(name)
    assert server.__file__ == str(SOURCE / "pillarbox/protocol/server.py"), server.__file__
    atheris.Setup([*sys.argv, f"-max_len={target.max_bytes}"], bounded(target.run))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
