"""what `pillarbox serve` opens where nobody says otherwise: the ports of a mail server

`up` is for trying things out, on this machine and without privileges. `serve` is for other people's
mail, which comes to the ports that are agreed upon for it (RFC 8314 §3.3, RFC 6409 §3.1) and on
every address. Nobody can send through them without TLS and a login.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pillarbox.settings.sources import Given, Sources

SERVED: Final[Mapping[str, list[object]]] = {
    "smtp.listen": ["*"],
    "smtp.starttls_ports": [587, 2525],
    "smtp.tls_ports": [465],
    "smtp.bounce_ports": [25],
}


def as_served(sources: Sources) -> Sources:
    """The same, with the values of `SERVED` as the weakest word."""
    weakest = {key: Given(value, "serve") for key, value in SERVED.items()}
    return replace(sources, layers=(*sources.layers, weakest))
