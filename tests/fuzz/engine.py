"""one target under the coverage-guided engine: python -m tests.fuzz.engine TARGET [OPTIONS OF LIBFUZZER]

A process of its own, because the engine never returns: it ends the process. What it covers is the
source of the package, never what was compiled from it; the stores and their threads are left out,
so that the same input always covers the same. Findings are files that the option ``-artifact_prefix``
places.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
_ASK = 0xFFFFFFFF
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)
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


def load_at_fixed_addresses() -> None:
    """Begin again without randomised addresses, where the system lets us: the engine's choices
    depend on them, and the same seed is to lead to the same inputs.
    """
    personality = ctypes.CDLL(None).personality
    now = personality(_ASK)
    if now >= 0 and not now & _NO_RANDOM_ADDRESSES and personality(now | _NO_RANDOM_ADDRESSES) >= 0:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "tests.fuzz.engine", *sys.argv[1:]])


def main() -> None:
    """Does not return."""
    load_at_fixed_addresses()
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
