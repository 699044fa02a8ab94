"""what may be changed without code"""

from __future__ import annotations

from pillarbox.settings.gather import (
    Entry,
    Settings,
    all_rooms,
    check,
    known,
    load,
)
from pillarbox.settings.mail_variables import mail_variables
from pillarbox.settings.process import Process, suggest
from pillarbox.settings.served import SERVED, as_served
from pillarbox.settings.sources import (
    ENV_PREFIX,
    Given,
    InvalidSettings,
    Mistake,
    Sources,
    machine_name,
    read_sources,
)

__all__ = [
    "ENV_PREFIX",
    "SERVED",
    "Entry",
    "Given",
    "InvalidSettings",
    "Mistake",
    "Process",
    "Settings",
    "Sources",
    "all_rooms",
    "as_served",
    "check",
    "known",
    "load",
    "machine_name",
    "mail_variables",
    "read_sources",
    "suggest",
]
