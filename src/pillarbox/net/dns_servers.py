"""the DNS servers to ask, and in which order: those set, or those of the system"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from pillarbox.terms.setting import InvalidSetting, setting

_MOST_SERVERS: Final = 3
"""As many as the system's own resolver asks (resolv.conf(5))."""
_PORT: Final = 53
_MAX_PORT: Final = 65535
_LOOK_AGAIN_SECONDS: Final = 5.0
_AVOIDED_SECONDS: Final = 30.0
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::(.*))?")
_MOST_OCTETS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """How names are looked up."""

    servers: tuple[str, ...] = setting(
        (),
        "Addresses of the DNS servers to ask, each with a port where it is not 53; without any, "
        "those of the system.",
    )
    timeout_seconds: float = setting(3.0, "How long one server may take for one answer.")
    rounds: int = setting(2, "How often every server is asked before a look-up is put off.")
    trust_ad: bool = setting(
        False,
        "Believe that an answer was validated (DNSSEC) also where the server is not on this "
        "machine; the way to it must be safe.",
    )
    cache_entries: int = setting(20_000, "How many answers are remembered.")

    def __post_init__(self) -> None:
        for text in self.servers:
            _server(text)
        if self.timeout_seconds <= 0:
            raise InvalidSetting("timeout_seconds must be above 0")
        if self.rounds < 1:
            raise InvalidSetting("rounds must be at least 1")
        if self.cache_entries < 1:
            raise InvalidSetting("cache_entries must be at least 1")


@dataclass(frozen=True, slots=True)
class DnsServer:
    """Where to ask."""

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Whether nobody but this machine can have touched what it says."""
        return ip_address(self.host).is_loopback


class DnsServers:
    """Those to ask, the ones that failed a moment ago last."""

    def __init__(self, servers: Sequence[str], system: Path = Path("/etc/resolv.conf")) -> None:
        """`servers` as in the settings; `system` is read, again when it changes, without any."""
        self._set = tuple(_server(text) for text in servers)
        self._system = system
        self._of_system: tuple[DnsServer, ...] = ()
        self._read_version = (-1, -1)
        self._looked_at = float("-inf")
        self._failed: dict[DnsServer, float] = {}

    def in_order(self, now: float) -> list[DnsServer]:
        """In the order in which they are to be asked at the monotonic second `now`."""
        servers = self._set or self._those_of_the_system(now)
        if not self._failed:
            return list(servers)
        return sorted(servers, key=lambda server: self._failed_at(server, now))

    def failed(self, server: DnsServer, now: float) -> None:
        """It gave no answer: ask others first for a while."""
        self._failed[server] = now

    def answered(self, server: DnsServer) -> None:
        """It works."""
        self._failed.pop(server, None)

    def _failed_at(self, server: DnsServer, now: float) -> float:
        at = self._failed.get(server, float("-inf"))
        return at if now - at < _AVOIDED_SECONDS else float("-inf")

    def _those_of_the_system(self, now: float) -> tuple[DnsServer, ...]:
        if now - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._looked_at = now
            self._read_again()
        return self._of_system or (DnsServer("127.0.0.1", _PORT),)

    def _read_again(self) -> None:
        try:
            stat = self._system.stat()
            version = (stat.st_mtime_ns, stat.st_ino)
            if version == self._read_version:
                return
            with self._system.open("rb") as file:
                text = file.read(_MOST_OCTETS).decode("latin-1")
        except OSError:  # as where there is none: the server of this machine is asked
            return
        self._read_version = version
        self._of_system = read_resolv_conf(text)
        self._failed.clear()


def read_resolv_conf(text: str) -> tuple[DnsServer, ...]:
    """The name servers of a resolv.conf, at most as many as the system itself would ask."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            ip_address(words[1])
        except ValueError:
            continue
        found.append(DnsServer(words[1], _PORT))
    return tuple(dict.fromkeys(found))[:_MOST_SERVERS]


def _server(text: str) -> DnsServer:
    host, port = text.strip(), str(_PORT)
    bracketed = _BRACKETED.fullmatch(host)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2] or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number <= _MAX_PORT:
        raise InvalidSetting(
            f"servers are addresses such as 127.0.0.1, 127.0.0.1:5353 or [::1]:53, not {text!r}"
        )
    return DnsServer(host, number)
