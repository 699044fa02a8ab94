"""the only module that knows everyone"""

from __future__ import annotations

from pillarbox.observe.news import EventLine
from pillarbox.wiring.life import serve
from pillarbox.wiring.loop import run
from pillarbox.wiring.offline import open_offline
from pillarbox.wiring.started import Started

__all__ = ["EventLine", "Started", "open_offline", "run", "serve"]
