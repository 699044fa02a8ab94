"""the clock, chance and print are reached through one door each"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.tree import Module, modules

CLOCKS = {"terms.clock", "terms.ids"}
BANNED = {
    "time.time": CLOCKS,
    "time.time_ns": CLOCKS,
    "datetime.now": CLOCKS,
    "datetime.utcnow": CLOCKS,
    "datetime.today": CLOCKS,
    "date.today": CLOCKS,
    "uuid.uuid1": CLOCKS,
    "uuid.uuid4": CLOCKS,
    "os.getenv": {"settings", "cli", "__main__"},
    "sys.exit": {"cli", "__main__"},
}
BANNED_IMPORTS = {
    "random": CLOCKS,
    "uuid": CLOCKS,
    "sqlite3": set[str](),
    "pickle": set[str](),
    "jinja2": {"dashboard"},
    "liquid": {"message.liquid"},
}


def allowed(module: Module, rooms: set[str]) -> bool:
    return any(module.name == room or module.name.startswith(room + ".") for room in rooms)


def dotted(node: ast.expr) -> str:
    """The last two names of a chain: ``datetime.datetime.now`` is ``datetime.now``."""
    if isinstance(node, ast.Attribute):
        inner = node.value
        before = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
        return f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(module: Module) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called in BANNED and not allowed(module, BANNED[called]):
                yield f"{module.name}:{node.lineno} calls {called}"
            if called == "print" and module.floor != "cli":
                yield f"{module.name}:{node.lineno} prints"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            single = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = single or [alias.name for alias in node.names]
            for name in {name.partition(".")[0] for name in names} & set(BANNED_IMPORTS):
                if not allowed(module, BANNED_IMPORTS[name]):
                    yield f"{module.name}:{node.lineno} imports {name}"
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    called = f"{(node.module or '').rpartition('.')[2]}.{alias.name}"
                    if called in BANNED and not allowed(module, BANNED[called]):
                        yield f"{module.name}:{node.lineno} imports {called}"


def test_nobody_asks_for_the_time_for_chance_or_for_the_terminal_but_by_their_door() -> None:
    found = [offence for module in modules() for offence in offences(module)]
    assert not found, "\n".join(found)


def test_a_room_reads_its_environment_only_through_settings() -> None:
    """The crash points are the one exception: tests switch them on from outside."""
    readers = {
        module.name
        for module in modules()
        if "os.environ" in module.text and module.floor not in ("settings", "cli")
    }
    assert readers <= {"observe.crash"}
