"""the import contracts hold, and would notice if they did not"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT, SOURCE

# A line nobody may write, and the contracts that must refuse it.
WRONG = [
    ("protocol.server", "pillarbox.storage.interface.store", {"floors"}),
    ("message.verp", "pillarbox.policy.envelope", {"floors"}),
    ("net.smtp_client", "pillarbox.services.delivery.worker", {"floors"}),
    ("storage.queue", "pillarbox.net.tls", {"floors"}),
    ("observe.log", "pillarbox.net.tls", {"floors"}),
    ("handover.settle", "pillarbox.api.app", {"floors"}),
    ("policy.retry", "time", {"quiet-rooms"}),
    ("message.compose", "asyncio", {"quiet-rooms"}),
    ("protocol.lines", "random", {"quiet-rooms"}),
    ("policy.outcome", "socket", {"quiet-rooms", "sockets-in-net"}),
    ("services.delivery.worker", "pillarbox.services.webhooks.dispatch", {"services-apart"}),
    ("handover.settle", "pillarbox.storage.queue", {"storage-behind-interface"}),
    ("api.app", "pillarbox.storage.open", {"storage-behind-interface"}),
    ("wiring", "pillarbox.storage.sqlite", {"engines-behind-the-door"}),
    ("services.delivery.attempt", "socket", {"sockets-in-net"}),
    ("api.messages", "ssl", {"sockets-in-net"}),
    ("services.webhooks.dispatch", "httpcore2", {"sockets-in-net"}),
    ("policy.mx", "dns", {"sockets-in-net"}),
    ("services.certificates.renewals", "acme", {"sockets-in-net"}),
    ("services.certificates.renewals", "requests", {"sockets-in-net"}),
    ("services.webhooks.dispatch", "httpcore2", {"sockets-in-net"}),
    ("wiring", "pillarbox.storage.postgres", {"engines-behind-the-door"}),
    ("api.reports", "apsw", {"sql-in-storage"}),
    ("api.reports", "asyncpg", {"sql-in-storage"}),
    ("protocol.client", "pillarbox.protocol.server", {"two-sides-of-smtp"}),
    ("protocol.gate", "pillarbox.protocol.pipeline", {"server-by-itself"}),
    ("protocol.opening", "pillarbox.protocol.gate", {"client-by-itself", "two-sides-of-smtp"}),
    ("protocol.reply", "pillarbox.protocol.command", {"two-sides-of-smtp"}),
]
# Modules the contracts name; without them import-linter has nothing to protect.
NAMED = ["storage.open", "services.submission.session", "services.upkeep.rounds"]
RIGHT = [
    ("net.tls", "socket"),
    ("net.tls", "ssl"),
    ("net.web_stream", "httpcore2"),
    ("net.resolver", "dns"),
    ("net.acme_exchange", "acme"),
    ("net.acme_exchange", "josepy"),
    ("net.acme_exchange", "requests"),
    ("net.web_stream", "httpcore2"),
    ("storage.sqlite", "apsw"),
    ("storage.postgres", "asyncpg"),
]


def settings() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["tool"]["importlinter"]
    return found


def rooms(layers: list[str]) -> list[str]:
    """The names in the layers of a contract."""
    return re.findall(r"\w+", " ".join(layers))


def lint(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """import-linter as ./do check runs it, on the tree at `root`."""
    starter = f"import sys; sys.path.insert(0, {str(root / 'src')!r}); "
    starter += "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", starter, "--no-cache", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def skeleton(root: Path, lines: list[tuple[str, str]]) -> Path:
    """An empty house with all rooms, and the imports given."""
    lines = RIGHT + lines
    names = [module for module, _ in lines] + NAMED
    names += [name.removeprefix("pillarbox.") for _, name in lines if name.startswith("pillarbox.")]
    layers = {contract["id"]: contract.get("layers", []) for contract in settings()["contracts"]}
    names += [f"protocol.{name}" for name in rooms(layers["two-sides-of-smtp"])]
    package = root / "src/pillarbox"
    for floor in rooms(layers["floors"]):
        (package / floor).mkdir(parents=True)
        (package / floor / "__init__.py").touch()
    (package / "__init__.py").touch()
    for name in names:
        path = package / (name.replace(".", "/") + ".py")
        if path.with_suffix("").is_dir():
            path = path.with_suffix("") / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in path.parents:
            if parent == package:
                break
            (parent / "__init__.py").touch()
        path.touch()
    for name, imported in lines:
        path = package / (name.replace(".", "/") + ".py")
        if path.with_suffix("").is_dir():
            path = path.with_suffix("") / "__init__.py"
        path.write_text(path.read_text() + f"import {imported}\n")
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return root


def verdicts(output: str) -> dict[str, bool]:
    """Contract name to whether it was kept."""
    found = re.findall(r"^(.+?) (KEPT|BROKEN)\b", output, re.MULTILINE)
    return {name: word == "KEPT" for name, word in found}


def test_the_import_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_house_with_all_its_rooms_breaks_no_contract(tmp_path: Path) -> None:
    done = lint(skeleton(tmp_path, []))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "imported", "contracts"), WRONG, ids=[f"{m}-{i}" for m, i, _ in WRONG]
)
def test_a_wrong_import_is_refused_by_the_contract_that_forbids_it(
    tmp_path: Path, module: str, imported: str, contracts: set[str]
) -> None:
    done = lint(skeleton(tmp_path, [(module, imported)]))
    names = {contract["name"]: contract["id"] for contract in settings()["contracts"]}
    broken = {names[name] for name, kept in verdicts(done.stdout).items() if not kept}
    assert contracts <= broken, done.stdout


def test_a_module_outside_the_floors_is_refused(tmp_path: Path) -> None:
    root = skeleton(tmp_path, [])
    (root / "src/pillarbox/helpers.py").touch()
    done = lint(root, "--contract", "floors")
    assert done.returncode == 1
    assert "helpers" in done.stdout


def test_a_room_that_is_built_is_no_longer_marked_as_planned() -> None:
    built = []
    for contract in settings()["contracts"]:
        if contract["type"] != "layers":
            continue
        folder = SOURCE.parent / contract["containers"][0].replace(".", "/")
        for planned in re.findall(r"\((\w+)\)", " ".join(contract["layers"])):
            if (folder / planned).is_dir() or (folder / f"{planned}.py").exists():
                built.append(f"{contract['id']}: {planned}")
    assert not built, f"take the parentheses away in pyproject.toml: {built}"
