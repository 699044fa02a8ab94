"""what has to be known of a store before it is used: whose key its secrets need, whether it moved"""

from __future__ import annotations

from typing import Final

from pillarbox.storage.columns import as_text
from pillarbox.storage.engine import Engine, Step
from pillarbox.storage.interface.errors import StoreMoved, WrongSecretKey
from pillarbox.storage.vault import Vault

KEY: Final = "secret_key"
"""The fingerprint of the key that sealed what is sealed here."""

MOVED: Final = "moved_to"
"""Where the store was copied to; its mail goes out from there."""

UNFINISHED: Final = "copy_unfinished"
"""From where a copy is being made that is not complete."""


async def check_marks(engine: Engine, vault: Vault) -> None:
    """Raises `WrongSecretKey`, `StoreMoved`."""
    moved = await engine.read("mark.get", MOVED)
    if moved:
        raise StoreMoved(
            f"This store was copied to {as_text(moved[0][0])}, and its mail goes out from there.",
            fix="Start Pillarbox on that one. To use this one all the same, and send twice what still\n"
            "waited then: pillarbox store reopen",
        )
    unfinished = await engine.read("mark.get", UNFINISHED)
    if unfinished:
        raise StoreMoved(
            f"The copy from {as_text(unfinished[0][0])} into this store is not complete.",
            fix="Run the same pillarbox store copy again; it goes on where it ended.",
        )
    fingerprint = vault.fingerprint
    found = await engine.read("mark.get", KEY)
    if not found:
        await engine.change(Step("mark.put", (KEY, fingerprint)))
        found = await engine.read("mark.get", KEY)
    if as_text(found[0][0]) != fingerprint:
        raise WrongSecretKey(
            "The passwords in this database were sealed with another secret key.",
            fix="Copy secret.key from the data directory of another node into this one's,\n"
            "or give all nodes the same PILLARBOX_SECRET_KEY_FILE.",
        )
