"""a store in a file is a node too, and needs no driver of PostgreSQL for it"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPENING = """
import asyncio, sys
from pathlib import Path
from pillarbox.wiring import serve
from pillarbox.storage.open import open_storage

async def opened():
    store = await open_storage(Path(sys.argv[1]), now_ms=1_800_000_000_000, on_broken=print)
    await store.close()

asyncio.run(opened())
print("asyncpg" in sys.modules)
"""


def test_a_store_in_a_file_is_opened_without_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OPENING, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout == "False\n"
