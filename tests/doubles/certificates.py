"""an authority for one test run, and certificates as files"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where an authority's certificate and one server's certificate and key lie (PEM)."""

    ca: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """A context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this authority and nobody else, and checks names."""
        return ssl.create_default_context(cafile=str(self.ca))


def describe_channel(transport: asyncio.BaseTransport) -> str:
    """Version and cipher of a transport under TLS, and whether it resumed a session; or empty."""
    agreed = transport.get_extra_info("ssl_object")
    if agreed is None:
        return ""
    cipher = agreed.cipher()
    words = [agreed.version(), cipher[0] if cipher else "", "resumed" * agreed.session_reused]
    return " ".join(word for word in words if word)


def issue_certificate(folder: Path, *names: str) -> CertificateFiles:
    """A new authority and one certificate for `names` (default: loopback names), in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    leaf = authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
    files = CertificateFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority.cert_pem.write_to_path(str(files.ca))
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(str(files.certificate), append=number > 0)
    leaf.private_key_pem.write_to_path(str(files.key))
    files.key.chmod(0o600)
    return files
