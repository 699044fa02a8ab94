"""how the tracking host answers, and what is kept of its visitors"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from pillarbox.policy.networks import InvalidNetwork, parse_network
from pillarbox.terms.setting import InvalidSetting, setting

_PLACE: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.*-]+)):([0-9]{1,5})")
_MAX_PORT: Final = 65535

ImageWay = Literal["serve", "redirect"]


@dataclass(frozen=True, slots=True)
class TrackingHostConfig:
    """The tracking host: where it listens, and what it does with images and visitors."""

    listen: tuple[str, ...] = setting(
        (),
        "Addresses with ports, such as 127.0.0.1:8481, on which the tracking host answers in clear; "
        "for a proxy in front of it that does TLS.",
    )
    listen_tls: tuple[str, ...] = setting(
        (),
        "Addresses with ports, such as 0.0.0.0:443, on which it answers under TLS; the certificate "
        "stands in [tracking_tls].",
    )
    proxies: tuple[str, ...] = setting(
        (),
        "Networks of proxies in front of the tracking host: what they write into X-Forwarded-For is "
        "believed.",
    )
    images: ImageWay = setting(
        "serve",
        "Whether tracked images are fetched once and served, or readers are sent to where they lie; "
        "an app may say otherwise.",
    )
    personal_data: bool = setting(
        True,
        "Whether the IP address of a visitor and the name of the program are kept; without them "
        "visits are only counted. An app may say otherwise.",
    )
    hosted_days: int = setting(
        365,
        "Days for which a hosted image is kept after it was last looked at; 0 keeps it for ever.",
    )
    cache_days: int = setting(30, "Days for which a fetched image is kept after its last use.")
    cache_mb: int = setting(256, "Space for fetched images; the longest unused go first.")
    fetch_seconds: float = setting(
        8.0, "For fetching an image, redirects included; who waits longer is sent to where it lies."
    )
    fetch_networks: tuple[str, ...] = setting(
        (),
        "Networks from which images may be fetched although they are private, such as 10.1.0.0/16; "
        "all others must be public.",
    )

    def __post_init__(self) -> None:
        for name in ("listen", "listen_tls"):
            for place in getattr(self, name):
                try:
                    read_place(place)
                except InvalidSetting as wrong:
                    raise InvalidSetting(f"{name}: {wrong.sentence}") from wrong
        for name in ("proxies", "fetch_networks"):
            try:
                for network in getattr(self, name):
                    parse_network(network)
            except InvalidNetwork as wrong:
                raise InvalidSetting(f"{name}: {wrong.sentence}") from wrong
        if self.fetch_seconds <= 0:
            raise InvalidSetting("fetch_seconds must be above 0")


def read_place(text: str) -> tuple[str, int]:
    """``127.0.0.1:8481``, ``[::1]:8481`` or ``*:443``, taken apart. Raises `InvalidSetting`."""
    found = _PLACE.fullmatch(text.strip())
    if found is None or int(found[3]) > _MAX_PORT:
        raise InvalidSetting(
            f"an address with a port is written 127.0.0.1:8481 or [::1]:8481, found {text[:80]!r}"
        )
    return found[1] or found[2], int(found[3])
