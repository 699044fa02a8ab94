"""the presets, read from where they lie in the package"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pillarbox.policy.presets import Presets, parse_presets


@cache
def load_presets() -> Presets:
    """Read once, when somebody first asks."""
    file = resources.files("pillarbox.policy") / "presets.toml"
    return parse_presets(file.read_text(encoding="utf-8"))
