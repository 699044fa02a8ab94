"""the rooms that every message passes, compiled with mypyc beside the source

    python tools/compile.py FOLDER

Makes FOLDER hold a copy of the package in which the modules listed in ``pyproject.toml``, below
``[tool.pillarbox.compile]``, are extension modules made from the same source. Nothing else differs.
It takes a C compiler, the interpreter's headers, and about a minute; the source runs without.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
STAMP = ".made-from"


def modules() -> list[str]:
    """Paths below ``src`` of what is compiled. Raises `SystemExit` for a name without a file."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pillarbox"]["compile"]
    paths = [f"pillarbox/{room}/{name}.py" for room, names in wanted.items() for name in names]
    for path in paths:
        if not (SOURCE / path).is_file():
            sys.exit(f"pyproject.toml has {path} compiled, and there is no such file.")
    return paths


def fingerprint() -> str:
    """Of everything the result depends on."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update((ROOT / "requirements-test.lock").read_bytes())
    digest.update("\n".join(modules()).encode())
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_current(folder: Path) -> bool:
    """Whether the folder holds what would be made now."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint()


def make(folder: Path) -> None:
    """Compile, and put the result in the place of what was there. Raises `SystemExit`."""
    lacking = _lacking()
    if lacking:
        sys.exit(lacking)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".compiling-") as scratch:
        began_at = os.stat(scratch).st_mtime
        made_from = fingerprint()
        package = Path(scratch) / "package"
        shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
        # mypyc writes its intermediate files where it is started.
        log = Path(scratch) / "log"
        with log.open("wb") as out:
            built = subprocess.run(
                [sys.executable, str(Path(__file__).resolve()), "--here", *modules()],
                cwd=package, stdout=out, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if built.returncode:
            sys.exit(f"{log.read_text(errors='replace')[-4000:]}\nIt could not be compiled.")
        shutil.rmtree(package / "build")
        (package / STAMP).write_text(made_from)
        # What is edited while this runs is newer than what was made.
        os.utime(package / STAMP, (began_at, began_at))
        old = Path(scratch) / "old"
        if folder.exists():
            folder.rename(old)
        package.rename(folder)


def _lacking() -> str:
    """What is missing, and how to get it; empty where nothing is."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not shutil.which(compiler):
        return f"There is no C compiler ({compiler}). Debian: apt install gcc"
    if not headers.is_file():
        return f"{headers} is missing. Debian: apt install python3-dev"
    return ""


def _compile_here(paths: list[str]) -> None:
    """In the current directory, each extension module beside its source."""
    from mypyc.build import mypycify
    from setuptools import Distribution  # type: ignore[import-untyped]
    from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]

    class _AtOnce(build_ext):  # type: ignore[misc]
        """All but a hundred shims lies in one extension, whose files would go one by one."""

        def build_extensions(self) -> None:
            one_by_one = self.compiler.compile
            self.compiler.compile = lambda sources, **how: _compile_at_once(
                lambda source: one_by_one([source], **how), sources, self.parallel
            )
            super().build_extensions()

    # -O2 runs as fast here as -O3 and is made in half the time.
    extensions = mypycify(
        ["--python-version", "3.11", "--ignore-missing-imports", *paths],
        opt_level="2", debug_level="0", multi_file=True,
    )  # fmt: skip
    command = _AtOnce(Distribution({"name": "pillarbox", "ext_modules": extensions}))
    command.inplace = True
    command.parallel = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    command.ensure_finalized()
    command.run()


def _compile_at_once(
    compile_one: Callable[[str], list[str]], sources: list[str], processes: int
) -> list[str]:
    """The object files, in the order of their sources. The longest begin, lest one be waited for."""
    with ThreadPoolExecutor(processes) as pool:
        made = {
            source: pool.submit(compile_one, source)
            for source in sorted(sources, key=os.path.getsize, reverse=True)
        }
        return [name for source in sources for name in made[source].result()]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(arguments: list[str]) -> None:
    """See the module."""
    if arguments[:1] == ["--here"]:
        _compile_here(arguments[1:])
        return
    if len(arguments) != 1:
        sys.exit(__doc__)
    folder = Path(arguments[0]).absolute()
    if is_current(folder):
        _say(f"{len(modules())} modules are compiled already.")
        return
    _say(f"Compiling {len(modules())} modules; this takes about a minute.")
    make(folder)
    _say(f"Done: {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
