"""Pillarbox: a mail relay that takes responsibility for every message"""

from __future__ import annotations

__version__ = "0.1.0"
