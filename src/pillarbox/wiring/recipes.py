"""the recipes, read from where they lie in the package"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pillarbox.policy.recipe import Book, parse_book


@cache
def load_recipes() -> Book:
    """Read once, when somebody first asks: a start need not wait for it."""
    folder = resources.files("pillarbox.policy") / "recipes"
    files = (each for each in folder.iterdir() if each.name.endswith(".toml"))
    return parse_book({each.name: each.read_text(encoding="utf-8") for each in files})
