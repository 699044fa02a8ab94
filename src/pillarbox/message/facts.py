"""the frozen values render and dsn_write work from: ids, times, recipient, options, hosts, key names"""

from __future__ import annotations

import msgspec


class OptionValue(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A resolved option and where it came from: app, credential, request or header."""

    value: str
    origin: str


class Origin(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where a message came in: what its Received field and its history say."""

    porch: str
    """``smtp``, ``http`` or ``system``."""
    address: str = ""
    """The peer's IP address."""
    port: int = 0
    hello: str = ""
    protocol: str = ""
    """``ESMTPSA`` and its kin (RFC 3848), or ``HTTP``."""
    tls: str = ""
    """TLS version and cipher, empty in clear."""


class RecipientFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one recipient's delivery needs beyond its address.

    Stored as an array: fields are added at the end, with a default.
    """

    address: str
    notify: str = "FAILURE"
    """The wishes, joined by commas, as they were said."""
    original: str | None = None
    """ORCPT, decoded, with its address type."""
    notify_said: bool = False
    """Whether NOTIFY was said; only then is it passed on (RFC 3461 §5.2.1)."""


class MessageFacts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All that is needed to repeat the work on a message, stored beside it at the door."""

    return_path: str
    recipients: tuple[RecipientFacts, ...]
    origin: Origin
    submitter_kind: str
    submitter_name: str
    body: str = "7BIT"
    """``7BIT`` or ``8BITMIME``: what the content was found to be."""
    smtputf8: bool = False
    """Whether a next hop must offer SMTPUTF8 for all of it; what was declared is not the question."""
    report: str | None = None
    """RET: ``FULL`` or ``HDRS``; None where it was not said."""
    envelope_id: str | None = None
    """ENVID, decoded; None where it was not said."""
    uncertain: str = "retry"
    options: dict[str, OptionValue] = {}
    tags: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    """Signing keys named at the door, as ``domain/selector``; a retired one keeps signing until these
    settle.
    """
    header_bytes: int = 0
    """Length of the stored header section, blank line included."""
    blocks: int = 1
    """How many content rows there are."""
    tls: str = ""
    """``required`` for REQUIRETLS, ``optional`` for a field ``TLS-Required: No`` (RFC 8689)."""
    tracking_host: str = ""
    """The host that tracked links lead through; empty where there was none at the door."""
    tracking_https: bool = True
    """Whether that host is asked by https."""
    token_key: int = 0
    """Number of the key that signs the tokens of tracked links."""
    exceptions: tuple[str, ...] = ()
    """Domains and patterns of links that are never tracked."""
