"""the same two relays with TLS and a login on either side"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from tests.bench.peers import APP, Peer, PillarboxPeer, PostfixPeer
from tests.doubles.certificates import CertificateFiles
from tests.doubles.postfix import Postfix
from tests.doubles.sink import SinkProcess

SERVER_NAME = "localhost"
"""In every certificate, and what both relays call the sink."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and its password."""

    username: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


@dataclass(frozen=True, slots=True)
class Guards:
    """What both relays get: one certificate to show and to trust, one login to leave with."""

    certificate: CertificateFiles
    leaves: Login = field(default_factory=lambda: Login("relay"))

    def sink(self, journal: Path) -> SinkProcess:
        """A sink that takes mail only by STARTTLS and only from who logs in."""
        return SinkProcess(
            journal,
            "--certificate", str(self.certificate.certificate),
            "--key", str(self.certificate.key),
            "--username", self.leaves.username,
            f"--password={self.leaves.password}",
        )  # fmt: skip


class GuardedPeer(Peer, Protocol):
    """A relay that takes mail from who logs in under TLS; on `port` it wants STARTTLS."""

    enters: Login
    tls_port: int
    """TLS from the first byte."""


class GuardedPillarbox(PillarboxPeer):
    """The product with a certificate of ours, a credential, and a server with encryption."""

    def __init__(self, place: Path, sink_port: int, guards: Guards, *settings: str) -> None:
        """`settings` are KEY=VALUE."""
        self.guards = guards
        self.settings = settings
        super().__init__(place, sink_port)
        self.port, self.tls_port = self.starttls_port, self.implicit_port
        self.enters = Login("")

    def _entrance(self) -> list[str]:
        """The usual ports, with a certificate that the driver trusts."""
        certificate = self.guards.certificate
        return [
            "--set", f"tls.cert_file={certificate.certificate}",
            "--set", f"tls.key_file={certificate.key}",
            *(f"--set={setting}" for setting in self.settings),
        ]  # fmt: skip

    def _connect_sink(self) -> None:
        guards = self.guards
        self.tell("app", "set", APP, "--mode", "live", "--yes")
        self.tell(
            "server", "add", "sink", "--app", APP, "--host", SERVER_NAME,
            "--port", str(self.sink_port), "--encryption", "starttls",
            "--ca-file", str(guards.certificate.ca),
            "--username", guards.leaves.username, "--password-file", "-",
            stdin=guards.leaves.password,
        )  # fmt: skip
        made = json.loads(self.tell("credential", "add", "bench", "--app", APP, "--json"))
        self.enters = Login(made["username"], made["password"])

    def about(self) -> dict[str, object]:
        """As shipped but for ports, certificate, credential and server."""
        return super().about() | {
            "set": [
                "tls.cert_file and tls.key_file: the certificate that Postfix shows, too",
                "one credential; its password is generated and kept as SHA-256",
                "the app's mode: live; one server: STARTTLS, its certificate checked, AUTH PLAIN",
            ]
        }


_TLS_AT_ITS_BEST = {
    # Otherwise each message that leaves has a connection and a handshake of its own.
    "smtp_tls_connection_reuse": "yes",
}


class GuardedPostfix(PostfixPeer):
    """A private Postfix with TLS and SASL in both smtpd and smtp."""

    def __init__(self, place: Path, sink_port: int, guards: Guards) -> None:
        self.guards = guards
        self.enters = Login("bench")
        self.tls_port = 0
        super().__init__(place, sink_port, **_TLS_AT_ITS_BEST)

    def _made(self, sink_port: int) -> Postfix:
        guards = self.guards
        return Postfix.guarded_relay(
            sink_port,
            guards.certificate,
            (self.enters.username, self.enters.password),
            (guards.leaves.username, guards.leaves.password),
            **self.settings,
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.tls_port = self._postfix.tls_port
        return self

    def about(self) -> dict[str, object]:
        """As Debian ships it but for what is set."""
        told = super().about()
        return told | {
            "on": [
                "the durable queue, on the same disk",
                "STARTTLS and a port with TLS; AUTH PLAIN by Cyrus SASL inside smtpd, from a sasldb",
                "to the sink: STARTTLS, its certificate checked, AUTH PLAIN; connections are kept",
                "its log, through postlogd: the only account it keeps",
            ]
        }


def make_guarded(name: str, place: Path, sink_port: int, guards: Guards) -> GuardedPeer:
    """The peer of this name."""
    if name == "pillarbox":
        return GuardedPillarbox(place, sink_port, guards)
    return GuardedPostfix(place, sink_port, guards)
