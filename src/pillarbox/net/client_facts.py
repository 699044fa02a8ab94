"""how long a server may take, and what is known of a connection to it"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.terms.setting import setting


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long a server may take for each step (RFC 5321 §4.5.3.2 sets the highest that help)."""

    connect_seconds: float = setting(30.0, "For all addresses of a server together.")
    banner_seconds: float = setting(30.0, "From the connection to the server's greeting.")
    ehlo_seconds: float = setting(30.0, "For the answer to EHLO.")
    tls_seconds: float = setting(30.0, "For the answer to STARTTLS, and for the handshake.")
    auth_seconds: float = setting(30.0, "For a login.")
    envelope_seconds: float = setting(300.0, "For each answer to MAIL, RCPT and DATA.")
    elsewhere_seconds: float = setting(
        20.0, "For the same, at most, where another server of the app could take the mail instead."
    )
    block_seconds: float = setting(180.0, "For the server to read each piece of a message.")
    verdict_seconds: float = setting(
        600.0, "For the answer to the final dot; giving up earlier may deliver mail twice."
    )
    quit_seconds: float = setting(2.0, "For the answer to QUIT, which changes nothing.")


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What is known of a connection once it may carry mail; stored once per connection."""

    host: str
    address: str
    port: int
    tls: str
    """Version, cipher, and whether the certificate was verified; empty in clear."""
    greeting: str
    extensions: tuple[str, ...]
    mechanism: str
    """By which it was logged in; empty without a login."""
    opening: tuple[tuple[int, str], ...]
    """Milliseconds since the start and what was said: connect, banner, EHLO, STARTTLS, AUTH."""
