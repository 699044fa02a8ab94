"""the stages of opening a connection, told to whoever watches"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a server showed of itself, whether or not it was checked."""

    ends_at: int
    """Its last instant, in milliseconds since the Unix epoch."""
    names: tuple[str, ...]
    """Those it was issued for: DNS names and addresses."""

    def is_for(self, host: str) -> bool:
        """Whether one of its names is `host`; a star stands for one label."""
        wanted = host.lower().rstrip(".")
        above = wanted.partition(".")[2]
        known = {name.lower() for name in self.names}
        return wanted in known or (bool(above) and f"*.{above}" in known)


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage that is behind us: resolve, connect, banner, starttls or auth."""

    stage: str
    words: str
    """What there is to say about it, in a few words."""
    certificate: ShownCertificate | None = None


Told = Callable[[Progress], None]


def secured(ssl_object: ssl.SSLObject | None) -> Progress:
    """The stage starttls, of TLS from the first byte as well."""
    version = ssl_object.version() if ssl_object is not None else None
    return Progress("starttls", version or "TLS", shown_certificate(ssl_object))


def shown_certificate(ssl_object: ssl.SSLObject | None) -> ShownCertificate | None:
    """What the other side showed; None where it showed nothing that can be read."""
    # In DER: as a dictionary it is to be had only where it was checked.
    der = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    if not der:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _names(certificate)
    except ValueError:
        return None
    return ShownCertificate(round(certificate.not_valid_after_utc.timestamp() * 1000), names)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(each) for each in held.get_values_for_type(x509.IPAddress)]
    return (*held.get_values_for_type(x509.DNSName), *addresses)
