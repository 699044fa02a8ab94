"""the MAIL_ variables as they stand in the environment and in the data directory"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pillarbox.policy.mail_variables import NAMES, parse_lines

FILE_NAME: Final = ".env"
_MAX_BYTES: Final = 64 * 1024


def mail_variables(environment: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """Those of the environment, and beside them what ``.env`` in the data directory says.

    A file that cannot be read says nothing.
    """
    try:
        with (data_dir / FILE_NAME).open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    found = {**parse_lines(text), **environment}
    return {name: found[name] for name in NAMES if name in found}
