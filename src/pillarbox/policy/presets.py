"""presets: what is known of the servers of well-known services

Data, ``presets.toml`` beside this module. A preset fills in what nobody has said about a new
server; what was said is stronger.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pillarbox.policy.server import Encryption
from pillarbox.terms.errors import PillarboxError

_SHOWN: Final = 40
_LIMITS: Final = ("max_per_second", "max_per_minute", "max_per_day")


class UnknownPreset(PillarboxError):
    """There is no preset of that name."""

    code = "invalid_value"


class RegionNeeded(PillarboxError):
    """The service has a server in each region."""

    code = "invalid_value"


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """A service, and how mail is handed to it."""

    caption: str
    username: str
    """Which user name to use, in words."""
    password: str
    """Which password to use, in words."""
    limits: str
    """What the service permits, in words."""
    sources: tuple[str, ...]
    """Where all of it is published."""
    checked: str
    """Year and month in which the sources were read."""
    name: str = ""
    host: str = ""
    """Empty where there is one for each region."""
    port: int = 587
    encryption: Encryption = Encryption.STARTTLS
    regions: dict[str, str] = {}
    """The host of each region."""
    max_per_second: float = 0.0
    max_per_minute: int = 0
    max_per_day: int = 0
    oauth: str = ""
    """The provider of access tokens, where it takes them."""
    about: tuple[str, ...] = ()
    """What else is worth knowing, sentence by sentence."""

    def host_in(self, region: str) -> str:
        """Its host, in a region where it has several. Raises `RegionNeeded`."""
        if not self.regions:
            return self.host
        host = self.regions.get(region.lower())
        if host is None:
            what = f"has no region {region[:_SHOWN]!r}" if region else "has a server in each region"
            raise RegionNeeded(
                f"{self.caption} {what}.", fix=f"Name one of: {', '.join(self.regions)}."
            )
        return host


@dataclass(frozen=True, slots=True)
class Presets:
    """All of them, in the order in which they are offered."""

    by_name: Mapping[str, Preset] = field(default_factory=dict)

    def preset(self, name: str) -> Preset:
        """By name. Raises `UnknownPreset`."""
        found = self.by_name.get(name.lower())
        if found is None:
            near = get_close_matches(name[:_SHOWN].lower(), list(self.by_name), 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UnknownPreset(
                f"There is no preset {name[:_SHOWN]!r}{hint}",
                fix=f"Known are: {', '.join(self.by_name)}.",
            )
        return found


def parse_presets(text: str) -> Presets:
    """Out of their file. Raises `ValueError` where it does not fit."""
    presets = {}
    for name, table in tomllib.loads(text).items():
        preset = replace(msgspec.convert(table, Preset), name=name)
        if bool(preset.host) is bool(preset.regions):
            raise ValueError(f"{name} needs a host, or regions with one each")
        presets[name] = preset
    return Presets(presets)


def fill_in(preset: Preset, said: Mapping[str, Any], region: str = "") -> dict[str, Any]:
    """What is said of a new server, and from the preset what is not. Raises `RegionNeeded`.

    Where somebody names another encryption the preset's port does not fit, and is left to others.
    """
    values = dict(said)
    values["preset"] = preset.name
    if not values.get("host"):
        values["host"] = preset.host_in(region)
    if values.setdefault("encryption", preset.encryption) == preset.encryption:
        values.setdefault("port", preset.port)
    for name in _LIMITS:
        if limit := getattr(preset, name):
            values.setdefault(name, limit)
    return values
