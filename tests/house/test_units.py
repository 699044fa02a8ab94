"""the systemd units on the page about ports open what `pillarbox serve` opens"""

from __future__ import annotations

import re

from pillarbox.settings import SERVED
from tests.house.tree import DOCS

PAGE = (DOCS / "ports.md").read_text(encoding="utf-8")
SETTING_OF = {
    "starttls": "smtp.starttls_ports",
    "tls": "smtp.tls_ports",
    "bounces": "smtp.bounce_ports",
}


def units() -> dict[str, list[tuple[str, str]]]:
    """Each unit of the page by its file name: keys and values, of all its sections."""
    found = re.findall(r"`/etc/systemd/system/([\w.-]+)`\n\n```ini\n(.*?)```", PAGE, re.DOTALL)
    return {
        name: [(key, value) for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)]
        for name, text in found
    }


def values(unit: list[tuple[str, str]], key: str) -> list[str]:
    return [value for name, value in unit if name == key]


def test_the_sockets_are_the_ports_of_serve_under_names_it_understands() -> None:
    opened = {}
    for name, unit in units().items():
        if name.endswith(".socket"):
            (called,) = values(unit, "FileDescriptorName")
            opened[SETTING_OF[called]] = [int(port) for port in values(unit, "ListenStream")]
            assert values(unit, "Service") == ["pillarbox.service"], name
    assert opened == {key: SERVED[key] for key in SETTING_OF.values()}


def test_the_service_is_handed_every_socket_and_is_told_to_reload() -> None:
    service = units()["pillarbox.service"]
    sockets = {name for name in units() if name.endswith(".socket")}
    assert set(" ".join(values(service, "Sockets")).split()) == sockets
    assert values(service, "Type") == ["notify"]
    assert values(service, "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    enabled = re.search(r"`systemctl enable --now ([^`]+)`", PAGE)
    assert enabled is not None and set(enabled[1].split()) == {*units()}
