"""a class below a compiled one is compiled too: Python refuses it otherwise, and only there"""

from __future__ import annotations

import ast
from pathlib import Path

from tools.compile import modules

SOURCE = Path(__file__).parents[2] / "src"
_FREE = {"Protocol", "StrEnum", "IntEnum", "Enum", "NamedTuple", "Struct", "TypedDict", "Exception"}


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


def _origins(tree: ast.Module) -> dict[str, str]:
    """Names and the files of ours that they are imported from."""
    return {
        alias.name: node.module.replace(".", "/") + ".py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def test_what_is_below_a_compiled_class_is_compiled() -> None:
    compiled = {str(path) for path in modules()}
    trees = {
        str(path.relative_to(SOURCE)): ast.parse(path.read_text("utf-8"))
        for path in sorted((SOURCE / "pillarbox").rglob("*.py"))
    }
    assert compiled <= trees.keys()
    native = {
        (name, node.name)
        for name in compiled
        for node in _classes(trees[name])
        if not _FREE.intersection(_bases(node))
    }
    wrong = [
        f"{name}: {node.name} is below {base}, which is compiled in {origins[base]}"
        for name, tree in trees.items()
        if name not in compiled
        for origins in (_origins(tree),)
        for node in _classes(tree)
        for base in _bases(node)
        if (origins.get(base), base) in native
    ]
    assert not wrong, "add them to [tool.pillarbox.compile]:\n" + "\n".join(wrong)
    assert ("pillarbox/storage/engine.py", "Member") in native
