"""the keys that rendering needs: of tokens by number, of signatures by name"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pillarbox.message.dkim import SigningKey


@dataclass(frozen=True, slots=True)
class RenderKeys:
    """What is known of the keys that a message names; what is missing is done without, and said."""

    tokens: Mapping[int, bytes] = field(default_factory=dict)
    """Octets of token keys, by number."""
    signing: Mapping[str, SigningKey] = field(default_factory=dict)
    """DKIM keys by ``domain/selector``."""


NO_KEYS: Final = RenderKeys()


def key_id(domain: str, selector: str) -> str:
    """The name by which a message names a DKIM key."""
    return f"{domain}/{selector}"


def parse_key_id(text: str) -> tuple[str, str]:
    """Domain and selector of a key so named."""
    domain, _, selector = text.partition("/")
    return domain, selector
