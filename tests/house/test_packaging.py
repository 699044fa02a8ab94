"""what is declared, what is pinned, what is explained and what is shipped agree"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pillarbox
from tests.house.tree import DOCS, ROOT, SOURCE, own_files

LOCKS = ("requirements.lock", "requirements-test.lock")


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found


def declared(lock: str) -> list[Requirement]:
    found = project()
    lines = list(found["project"]["dependencies"])
    if lock == "requirements-test.lock":
        lines += found["dependency-groups"]["test"]
    return [Requirement(line) for line in lines]


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_pins_every_dependency_within_its_bounds(lock: str) -> None:
    pinned = pins(lock)
    for requirement in declared(lock):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: run ./do lock"
        assert requirement.specifier.contains(version), f"{requirement}: {lock} pins {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text(encoding="utf-8"))
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_tests_run_with_the_versions_that_users_get() -> None:
    test = pins("requirements-test.lock")
    assert all(test[name] == version for name, version in pins("requirements.lock").items())


def test_every_dependency_has_its_reason() -> None:
    page = (DOCS / "decisions/0013-dependencies.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"}
    assert explained == {requirement.name for requirement in declared("requirements-test.lock")}


def test_the_version_is_one_that_every_tool_understands() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", pillarbox.__version__)


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("pillarbox-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {str(path.relative_to(SOURCE.parent)) for path in own_files() if SOURCE in path.parents}
    assert ours <= names, f"missing: {ours - names}"
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith("pillarbox") for name in names), "only our package is installed"
