"""modules have captions, a size, a noun for a name, and a test module of their own"""

from __future__ import annotations

import ast
import re

from tests.house.tree import ROOT, SOURCE, Module, exceptions, modules

MAX_LINES = 350
MIRRORED = ("terms", "protocol", "message", "policy")
ATTICS = {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "managers"}


def excused(kind: str) -> set[str]:
    return {entry["name"] for entry in exceptions().get(kind, [])}


def decides(module: Module) -> bool:
    """Whether there is anything to run: a list of declarations is tested by whoever uses it."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(module.text)))


def missing_mirrors() -> list[str]:
    wanted = []
    for module in modules():
        if module.floor not in MIRRORED or module.path.stem == "__init__" or not decides(module):
            continue
        relative = module.path.relative_to(SOURCE)
        mirror = ROOT / "tests/unit" / relative.parent / f"test_{relative.name}"
        if not mirror.exists():
            wanted.append(module.name)
    return wanted


def test_every_module_opens_with_a_caption() -> None:
    wrong = []
    for module in modules():
        caption = module.caption
        raw = module.text.lstrip().startswith('"""')
        good = caption and raw and len(caption) <= 104 and not caption.endswith((".", ",", ":"))
        if not good or re.match(r"(this|the module|a module|module)\b", caption, re.IGNORECASE):
            wrong.append(f"{module.name}: {caption!r}")
    assert not wrong, "one noun phrase, no full stop:\n" + "\n".join(wrong)


def test_a_module_that_grew_too_long_says_why() -> None:
    long = {m.name: m.lines for m in modules() if m.lines > MAX_LINES}
    unexcused = {name: lines for name, lines in long.items() if name not in excused("size")}
    assert not unexcused, f"split by noun, or give a reason in exceptions.toml: {unexcused}"


def test_no_module_is_an_attic() -> None:
    attics = [m.name for m in modules() if ATTICS & set(m.name.replace("_", ".").split("."))]
    assert not attics


def test_every_package_can_be_imported_from_a_wheel() -> None:
    folders = {module.path.parent for module in modules()}
    bare = [folder for folder in folders if not (folder / "__init__.py").exists()]
    assert not bare, "an __init__.py is missing"


def test_every_quiet_module_has_a_test_module_of_its_own() -> None:
    missing = [name for name in missing_mirrors() if name not in excused("mirror")]
    assert not missing, f"tests/unit/<floor>/test_<module>.py is missing for {missing}"


def test_every_unit_test_module_mirrors_a_module() -> None:
    strays = []
    for path in (ROOT / "tests/unit").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "tests/unit")
        source = SOURCE / relative.parent / relative.name.removeprefix("test_")
        if not source.exists() and not (source.with_suffix("") / "__init__.py").exists():
            strays.append(str(relative))
    assert not strays


def test_test_names_state_promises() -> None:
    short = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and node.name.count("_") < 3:
                short.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not short, "say what is promised:\n" + "\n".join(short)
