"""hosts and networks of their own on this machine: network namespaces, joined by bridges

::

    with Hosts({"inside": ("store", "a", "b"), "outside": ("post", "a", "b")}) as hosts:
        subprocess.run([*hosts.before("a"), "pillarbox", "serve", ...])
        hosts.cut("a", "inside")                # as if somebody had pulled the cable at the switch
        hosts.mend("a", "inside")

A host has an address in each of its networks, and its own loopback. What is cut off hears nothing
more, and nobody tells it: its interface stays up, and what it sends goes nowhere. Needs root. All of
it is inside the namespaces, and gone with them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final, Self

from tests.components import path_of

_NET: Final = "10.77"
_SWITCH: Final = "switch"


class Hosts:
    """As a context manager: made on the way in, removed on the way out."""

    def __init__(self, networks: Mapping[str, Sequence[str]]) -> None:
        """Names of hosts by network; both are short words."""
        self._networks = networks
        self._names = [_SWITCH, *dict.fromkeys(h for hosts in networks.values() for h in hosts)]
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            for name in self._names:
                _ip("netns", "add", self._space(name))
                self._made.append(name)
                _ip("-n", self._space(name), "link", "set", "lo", "up")
            for network, hosts in self._networks.items():
                self._switch("link", "add", network, "type", "bridge")
                self._switch("link", "set", network, "up")
                for host in hosts:
                    self._join(host, network)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            _ip("netns", "del", self._space(self._made.pop()), check=False)

    def before(self, host: str) -> list[str]:
        """What is put before a command to run it there."""
        return [_program(), "netns", "exec", self._space(host)]

    def address(self, host: str, network: str) -> str:
        """Of a host in a network."""
        third = list(self._networks).index(network)
        return f"{_NET}.{third}.{self._networks[network].index(host) + 1}"

    def everybody(self, network: str) -> str:
        """All addresses of a network."""
        return f"{_NET}.{list(self._networks).index(network)}.0/24"

    def cut(self, host: str, network: str) -> None:
        """Nothing passes any more, either way."""
        self._switch("link", "set", self._port(host, network), "nomaster")

    def mend(self, host: str, network: str) -> None:
        """It passes again."""
        self._switch("link", "set", self._port(host, network), "master", network)

    def _join(self, host: str, network: str) -> None:
        port, space = self._port(host, network), self._space(host)
        self._switch("link", "add", port, "type", "veth", "peer", "name", network, "netns", space)
        self._switch("link", "set", port, "master", network, "up")
        _ip("-n", space, "addr", "add", f"{self.address(host, network)}/24", "dev", network)
        _ip("-n", space, "link", "set", network, "up")

    def _switch(self, *words: str) -> None:
        _ip("-n", self._space(_SWITCH), *words)

    def _port(self, host: str, network: str) -> str:
        return f"{host}-{network}"[:15]

    def _space(self, name: str) -> str:
        return f"pb{os.getpid()}-{name}"


def _program() -> str:
    return path_of("ip") or "ip"


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run([_program(), *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
