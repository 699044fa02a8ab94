"""the certificate that a server showed, held against a pin or against TLSA records

A handshake that asks no authority lets every certificate pass; what is required instead is looked
at here, before anything else is said. The chain comes from `SSLObject.get_unverified_chain`, which
Python has since 3.13, and before that from the object beneath it, which has had the same method
since 3.10. Where neither exists only the certificate of the server itself is known, and no record
about a trust anchor matches: mail then waits rather than go to somebody unverified.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from typing import Final, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pillarbox.net.errors import Broken
from pillarbox.policy.tlsa import Tlsa, Usage

MAX_CHAIN: Final = 10

_RESULTS: Final = {
    10: "certificate-expired",
    62: "certificate-host-mismatch",
    64: "certificate-host-mismatch",
}


def shown_chain(ssl_object: ssl.SSLObject | None) -> list[bytes]:
    """What the server showed, in DER: its own certificate first, then as it sent them."""
    if ssl_object is None:
        return []
    chain = getattr(ssl_object, "get_unverified_chain", None)
    if chain is not None:
        return [bytes(one) for one in chain() or ()][:MAX_CHAIN]
    beneath = getattr(ssl_object, "_sslobj", None)
    chain = getattr(beneath, "get_unverified_chain", None)
    if chain is not None:
        return [_der(one) for one in chain() or ()][:MAX_CHAIN]
    leaf = ssl_object.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def fingerprint(certificate: bytes) -> str:
    """What a pin is: SHA-256 of the SubjectPublicKeyInfo, in hex; empty where it cannot be read."""
    key = _public_key(certificate)
    return hashlib.sha256(key).hexdigest() if key else ""


def check_pin(chain: Sequence[bytes], pin: str, host: str) -> None:
    """Raises `Broken` where the server's own key is not the one that was pinned."""
    shown = fingerprint(chain[0]) if chain else ""
    if not shown or shown != pin.lower().replace(":", ""):
        told = f"its fingerprint is {shown}" if shown else "it cannot be read"
        raise Broken(
            "starttls",
            f"the certificate of {host} has another key than the one pinned for it: {told}; if the "
            "server has a new key, pin that one, and otherwise somebody is between you and it",
            tls_result="certificate-not-trusted",
        )


def check_tlsa(
    chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], host: str
) -> None:
    """Raises `Broken` where no record matches (RFC 7672 §3.1).

    A record of usage 3 speaks of the server's own key, and then neither names nor dates matter. One
    of usage 2 speaks of an authority, under which the certificate must be valid for one of `names`.
    """
    keys = [_public_key(one) for one in chain]
    if chain and any(
        record.usage == Usage.END_ENTITY and record.matches(chain[0], keys[0]) for record in records
    ):
        return
    anchors = [
        der
        for der, key in zip(chain[1:], keys[1:], strict=True)
        if any(
            record.usage == Usage.TRUST_ANCHOR and record.matches(der, key) for record in records
        )
    ]
    # An authority may stand in the record itself; then a server need not show it as well.
    anchors += [
        record.data
        for record in records
        if (record.usage, record.selector, record.matching) == (Usage.TRUST_ANCHOR, 0, 0)
    ]
    if chain and anchors and _under(chain, anchors, names):
        return
    why = "no TLSA record matches the certificate it showed"
    if anchors:
        why = "its certificate is not valid under the authority that its TLSA records name"
    raise Broken("starttls", f"{host} failed DANE: {why}", tls_result="validation-failure")


def result_of(error: BaseException) -> str:
    """What a handshake that failed is called in a report (RFC 8460 §4.3.1)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _RESULTS.get(error.verify_code, "certificate-not-trusted")
    return "validation-failure"


def _under(chain: Sequence[bytes], anchors: Sequence[bytes], names: Sequence[str]) -> bool:
    try:
        certificate, *between = (x509.load_der_x509_certificate(one) for one in chain)
        store = Store([x509.load_der_x509_certificate(one) for one in anchors])
    except ValueError:
        return False
    # What browsers ask of authorities of the Web is not asked of one that a zone names for itself;
    # that an authority is one, and that the certificate bears a name, is.
    any_extensions = ExtensionPolicy.permit_all()
    builder = (
        PolicyBuilder()
        .store(store)
        .extension_policies(
            ca_policy=any_extensions.require_present(
                x509.BasicConstraints, Criticality.AGNOSTIC, None
            ),
            ee_policy=any_extensions.require_present(
                x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
            ),
        )
    )
    for name in names:
        try:
            verifier = builder.build_server_verifier(x509.DNSName(name))
            verifier.verify(certificate, between)
        except (VerificationError, ValueError):
            continue
        return True
    return False


def _public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo; empty, which matches nothing, where nobody here can read it."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _der(certificate: object) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    public_bytes = getattr(certificate, "public_bytes")  # noqa: B009
    return cast(bytes, public_bytes(2))  # _ssl.ENCODING_DER
