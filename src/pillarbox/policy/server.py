"""Server: a way out of an app, an upstream SMTP server or the recipients' own hosts"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret


class Kind(StrEnum):
    """What a way out leads to."""

    SMTP = "smtp"
    """One server, which takes mail for everybody."""
    DIRECT = "direct"
    """The MX hosts of each recipient's domain."""


class Encryption(StrEnum):
    """How a connection to a server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class SenderRule(StrEnum):
    """When a server's default sender stands in for the author and the return path."""

    REFUSED = "refused"
    """Where the server does not let this login send as the author: by `allowed_senders`, or as its
    refusal has taught.
    """
    ALWAYS = "always"


class Grant(StrEnum):
    """What an access token is asked for with (RFC 6749)."""

    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"


@dataclass(frozen=True, slots=True)
class OAuth:
    """Where a server's access tokens come from. Its secrets stand in `Server`."""

    provider: str = ""
    """Name of a preset, which knows `token_url` and `scope`; empty where they are given."""
    grant: Grant = Grant.CLIENT_CREDENTIALS
    client_id: str = ""
    tenant: str = ""
    """Directory of the organisation, where the provider has such."""
    token_url: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A way out of an app. `status` is ``A`` (active) or ``D`` (disabled).

    Of a way whose `kind` is DIRECT, name, priority, weight, status, `hello_name`, `local_address`
    and limits mean something, and the rest nothing.
    """

    id: ObjectId
    app: ObjectId
    name: str
    host: str
    port: int = 587
    encryption: Encryption = Encryption.STARTTLS
    verify: bool = True
    ca_file: str = ""
    username: str = ""
    password: Secret | None = None
    priority: int = 10
    weight: int = 1
    status: str = "A"
    errors: int = 0
    max_connections: int = 20
    from_address: str = ""
    from_name: str = ""
    created_at: int = 0
    modified_at: int = 0
    kind: Kind = Kind.SMTP
    auth: bool = True
    """Whether to log in; without a user name it means nothing."""
    pin: str = ""
    """SHA-256 of its public key (SubjectPublicKeyInfo) in hex: with it no authority is asked."""
    hello_name: str = ""
    """Said in EHLO; empty for this machine's name."""
    local_address: str = ""
    """Address of ours that connections come from; empty for any."""
    preset: str = ""
    """Name of the provider it was set up for."""
    oauth: OAuth | None = None
    """With it the login is XOAUTH2, and there is no password."""
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    allowed_senders: tuple[str, ...] = ()
    """Addresses and domains this login may send as; nothing for any, as far as we know."""
    sender_rule: SenderRule = SenderRule.REFUSED
    max_per_second: float = 0.0
    """Recipients; 0 for no limit, here and in the two that follow."""
    max_per_minute: int = 0
    max_per_day: int = 0
    debug: bool = False
    """Kept for clients of the compatible API, and without effect."""
    tls: TlsPlan | None = None
    """What is asked of an MX host; worked out when it is tried, and never stored."""
    addresses: tuple[str, ...] = ()
    """Where an MX host is, looked up and checked: nothing else is connected to. Never stored."""
    account: ObjectId = field(default=ObjectId(b""), compare=False)
    """Whose app it belongs to: known of a server that was read, and never stored with it."""

    @property
    def is_mx_host(self) -> bool:
        """Whether it is one of the recipients' own hosts, made for an attempt."""
        return bool(self.addresses)

    @property
    def label(self) -> str:
        """What it is called in sentences."""
        return self.name or self.host
