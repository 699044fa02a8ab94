"""TLS contexts, a certificate authority of our own for this machine, and what failures mean

Out of the box nobody has a certificate, and telling people to switch checks off would teach them
the wrong thing. So the data directory gets a small authority; programs trust its certificate
(``ca.pem``) and check ours like any other.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import secrets
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.terms.clock import Clock, SystemClock, from_ms

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_AUTHORITY_DAYS: Final = 3650
_LEAF_DAYS: Final = 365
_RENEW_DAYS: Final = 30
_BACKDATED: Final = timedelta(hours=1)  # clocks of one network differ


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """Where the files of our own authority lie. `ca_path` is the one to trust."""

    ca_path: Path
    cert_path: Path
    key_path: Path


def ensure_local_ca(
    directory: Path, names: Iterable[str] = (), *, clock: Clock | None = None
) -> LocalCertificate:
    """Make our authority and its certificate in `directory` where they are missing.

    The certificate names localhost, 127.0.0.1, ::1 and `names`; it is made anew when fewer than
    30 days are left, when a name is missing, or when its files do not fit. The authority is only
    ever made, never replaced: programs were told to trust it. Raises `TlsFilesUnusable`.
    """
    now = from_ms((clock or SystemClock()).now_ms())
    wanted = tuple(dict.fromkeys((*LOCAL_NAMES, *(name.lower() for name in names if name))))
    files = LocalCertificate(
        directory / "ca.pem", directory / "server.pem", directory / "server-key.pem"
    )
    authority_key = directory / "ca-key.pem"
    if not files.ca_path.exists():
        _make_authority(files.ca_path, authority_key, now)
    if not _fits(files, wanted, now):
        authority, key = _read_authority(files.ca_path, authority_key)
        _make_leaf(files, authority, key, wanted, now)
    return files


def server_context(cert_file: str | Path, key_file: str | Path) -> ssl.SSLContext:
    """What our listeners do handshakes with: TLS 1.2 and later, no ALPN, no renegotiation.

    Raises `TlsFilesUnusable` with the file and the reason.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Two would be made for every handshake, and a client that comes again needs one.
    context.num_tickets = 1
    try:
        # Without the function a key with a passphrase would have it asked for at the terminal.
        context.load_cert_chain(cert_file, key_file, password=lambda: "")
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise TlsFilesUnusable(
            f"the certificate {cert_file} with the key {key_file} cannot be used: "
            f"{str(reason).replace('_', ' ').lower()}",
            fix="both must be readable PEM files, the key without a passphrase, and fit together",
        ) from error
    return context


def client_context(verify: bool = True, ca_file: str = "") -> ssl.SSLContext:
    """What we do handshakes towards servers with; kept and shared, do not change it.

    With `verify` the server must show a certificate for its name from an authority of this
    machine, or of `ca_file` where that is given. Raises `TlsFilesUnusable`.
    """
    changed = 0.0
    if verify and ca_file:
        with suppress(OSError):
            changed = Path(ca_file).stat().st_mtime
    return _client_context(verify, ca_file if verify else "", changed)


def new_client_context(ca_file: str = "") -> ssl.SSLContext:
    """One that checks certificates, made for the caller alone, who may change it.

    By the authorities of this machine, or of `ca_file`. Raises `TlsFilesUnusable`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not ca_file:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise TlsFilesUnusable(
            f"the CA file {ca_file} cannot be used: {error.strerror or 'it holds no certificate'}",
            fix="name a readable PEM file with the certificate of the authority",
        ) from error
    return context


def describe_tls(ssl_object: ssl.SSLObject | None) -> str:
    """Version and cipher for people and Received fields; empty where there is no TLS."""
    if ssl_object is None:
        return ""
    cipher = ssl_object.cipher()
    return f"{ssl_object.version()} {cipher[0]}" if cipher else str(ssl_object.version())


def explain_tls_failure(error: BaseException, host: str) -> str:
    """One sentence for a person on why a handshake with `host` failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _VERIFY_WORDS.get(error.verify_code, error.verify_message or "it cannot be verified")
        return f"the certificate of {host} was refused: {why}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or ""
        known = _SSL_WORDS.get(reason)
        return f"TLS with {host} failed: {known or reason.replace('_', ' ').lower() or error}"
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return f"TLS with {host} failed: the handshake was not finished in time"
    return f"TLS with {host} failed: the connection was closed during the handshake"


_VERIFY_WORDS: Final = {
    9: "it is not valid yet; compare the clocks of both machines",
    10: "it has expired",
    18: "it is self-signed; name it as the CA file if that is intended",
    19: "it comes from an unknown authority; name that authority's certificate as the CA file",
    20: "it comes from an unknown authority; name that authority's certificate as the CA file",
    21: "it comes from an unknown authority; name that authority's certificate as the CA file",
    23: "it has been revoked",
    62: "it was issued for another name",
    64: "it was issued for another address",
    66: "its key is too weak",
    67: "its authority's key is too weak",
    68: "its signature is too weak",
}
_SSL_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS here; this port may want STARTTLS",
    "HTTP_REQUEST": "the other side speaks HTTP",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common; we take 1.2 and later",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no TLS version in common; we take 1.2 and later",
    "NO_SHARED_CIPHER": "no cipher in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the other side found nothing in common",
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not trust our authority",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side did not accept the certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side did not accept the certificate",
    "UNEXPECTED_EOF_WHILE_READING": "the connection was closed during the handshake",
}


@functools.lru_cache(maxsize=64)
def _client_context(verify: bool, ca_file: str, changed: float) -> ssl.SSLContext:
    if verify:
        return new_client_context(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _make_authority(path: Path, key_path: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # Names of authorities must differ between machines, or one key store cannot hold two.
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Pillarbox local CA {secrets.token_hex(4)}")]
    )
    certificate = (
        _certificate(name, name, key.public_key(), now, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    # The key first: a crash in between leaves no certificate, and both are made again.
    _write(key_path, _key_pem(key), mode=0o600)
    _write(path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _make_leaf(
    files: LocalCertificate,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
    now: datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # Only people read it, so it is the name they gave us, where they gave one.
    called = next((name for name in names if name not in LOCAL_NAMES), names[0])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called[:64])])
    certificate = (
        _certificate(subject, authority.subject, key.public_key(), now, _LEAF_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    _write(files.key_path, _key_pem(key), mode=0o600)
    _write(files.cert_path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fits(files: LocalCertificate, names: tuple[str, ...], now: datetime) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(files.cert_path.read_bytes())
        key = serialization.load_pem_private_key(files.key_path.read_bytes(), None)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca_path.read_bytes()))
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        key.public_key() == leaf.public_key()
        and leaf.not_valid_before_utc <= now
        and now + timedelta(days=_RENEW_DAYS) < leaf.not_valid_after_utc
        and {_general(name) for name in names} <= set(held)
    )


def _read_authority(
    path: Path, key_path: Path
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _spoilt(path, key_path, "cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        certificate.public_key()
    ):
        raise _spoilt(path, key_path, "do not belong together")
    return certificate, key


def _spoilt(path: Path, key_path: Path, why: str) -> TlsFilesUnusable:
    return TlsFilesUnusable(
        f"our own authority's files {path} and {key_path.name} {why}",
        fix="put them back from a backup; or remove both, and let every program trust the new one",
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes, *, mode: int) -> None:
    # Written beside and renamed: a reader sees the old file or the new one, never half of one.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TlsFilesUnusable(
            f"cannot write {path}: {error.strerror or error}",
            fix="the folder must exist and be writable for this user",
        ) from error
