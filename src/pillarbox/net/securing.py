"""how a connection to a server is secured: by what context, under which name, and what is checked"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from pillarbox.net.errors import Broken
from pillarbox.net.peer_certificate import check_pin, check_tlsa, shown_chain
from pillarbox.net.tls import client_context
from pillarbox.policy.tls_plan import Demand, TlsPlan


@dataclass(frozen=True, slots=True)
class Security:
    """What is asked of a connection before a login or mail goes over it."""

    context: ssl.SSLContext | None
    """None for a connection in clear."""
    at_once: bool
    """TLS from the first byte, and not by STARTTLS."""
    host: str
    name: str
    """Asked for in the handshake (SNI)."""
    verify: bool = True
    pin: str = ""
    plan: TlsPlan | None = None

    @property
    def may_be_clear(self) -> bool:
        """Whether a server that does not offer STARTTLS gets the mail all the same."""
        return self.plan is not None and self.plan.may_fall_back

    @property
    def proves(self) -> bool:
        """Whether the server is who it says, once TLS has begun and `check` has passed."""
        return bool(self.verify or self.pin or (self.plan is not None and self.plan.tlsa))

    @property
    def checked(self) -> str:
        """What is known of who the server is, once `check` has passed; for people."""
        if self.pin:
            return "certificate pinned"
        if self.plan is not None and self.plan.tlsa:
            return "certificate verified by DANE"
        if self.verify and self.plan is not None and self.plan.demand is Demand.MTA_STS:
            return "certificate verified as MTA-STS demands"
        return "certificate verified" if self.verify else "certificate not verified"

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Look at what the server showed, where no authority was asked. Raises `Broken`."""
        plan = self.plan
        if not self.pin and (plan is None or not plan.tlsa):
            return
        chain = shown_chain(transport.get_extra_info("ssl_object"))
        if self.pin:
            check_pin(chain, self.pin, self.host)
        elif plan is not None:
            check_tlsa(chain, plan.tlsa, plan.names or (self.name,), self.host)

    def not_offered(self) -> Broken:
        """The server does not offer STARTTLS, and must."""
        return Broken(
            "starttls",
            "the server does not offer STARTTLS, and TLS is required",
            tls_result="starttls-not-supported",
        )


def security_for(
    host: str,
    encryption: str,
    *,
    verify: bool = True,
    ca_file: str = "",
    pin: str = "",
    plan: TlsPlan | None = None,
) -> Security:
    """What `encryption`, ``none``, ``starttls`` or ``tls``, means for a host.

    With a `pin`, or with TLSA records in the `plan`, no authority is asked. Raises
    `TlsFilesUnusable` for `ca_file`.
    """
    by_authority = verify and not pin and not (plan is not None and plan.tlsa)
    context = client_context(by_authority, ca_file) if encryption != "none" else None
    bare = host.rstrip(".")
    # RFC 7672 §8.1: the name under which the TLSA records were found is the one to ask for.
    name = plan.names[0] if plan is not None and plan.tlsa and plan.names else bare
    return Security(context, encryption == "tls", bare, name, by_authority, pin, plan)
