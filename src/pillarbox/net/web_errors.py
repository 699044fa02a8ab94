"""what can go wrong with a request to a web server"""

from __future__ import annotations

from enum import StrEnum

from pillarbox.terms.errors import PillarboxError, Trouble


class WebFault(StrEnum):
    """At which point a request failed."""

    NAME = "name"
    """The name of the host could not be looked up."""
    FORBIDDEN = "forbidden"
    """None of its addresses may be connected to."""
    CONNECT = "connect"
    TLS = "tls"
    """The handshake failed, or the certificate was refused."""
    TIME = "time"
    """It was not over in the time it was given."""
    LOST = "lost"
    """The connection ended before the answer did."""
    GARBAGE = "garbage"
    """The answer is not HTTP."""
    TOO_LONG = "too_long"
    """The answer's body is longer than it may be."""


class WebFailed(Trouble):
    """A web server gave no usable answer.

    `fault` says where it failed. `words` end a sentence that begins with the host's name, and hold
    nothing of the request: its path, its fields and its body may be secrets.
    """

    code = "upstream_unreachable"

    def __init__(self, host: str, fault: WebFault, words: str) -> None:
        """See the class."""
        super().__init__(f"{host} {words}")
        self.host = host
        self.fault = fault
        self.words = words


class WebAddressInvalid(PillarboxError):
    """This is not the address of a web page that may be asked."""

    code = "invalid_value"
