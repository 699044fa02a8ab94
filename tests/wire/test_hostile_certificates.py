"""a server that cannot prove who it is gets neither login nor mail, and we say why"""

from __future__ import annotations

import datetime
import ssl
import warnings
from pathlib import Path

import pytest
import trustme

from pillarbox.policy.server import Encryption
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.e2e.upstream import LOGIN, add_secure, first_attempt, nothing_at_all
from tests.fix_house import Running

BOTH = (Encryption.STARTTLS, Encryption.TLS)
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
FAR_AHEAD = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)


def issued(folder: Path, *names: str, **times: datetime.datetime) -> CertificateFiles:
    """A certificate with times of our choice, from an authority of its own."""
    authority = trustme.CA()
    leaf = authority.issue_cert(*names, **times)  # type: ignore[arg-type]
    files = CertificateFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority.cert_pem.write_to_path(str(files.ca))
    leaf.cert_chain_pems[0].write_to_path(str(files.certificate))
    leaf.private_key_pem.write_to_path(str(files.key))
    return files


def expired(folder: Path) -> tuple[CertificateFiles, str]:
    day = datetime.timedelta(days=1)
    return issued(folder, "localhost", not_before=LONG_AGO, not_after=LONG_AGO + day), "has expired"


def not_yet_valid(folder: Path) -> tuple[CertificateFiles, str]:
    day = datetime.timedelta(days=1)
    files = issued(folder, "localhost", not_before=FAR_AHEAD, not_after=FAR_AHEAD + day)
    return files, "not valid yet"


def for_another_name(folder: Path) -> tuple[CertificateFiles, str]:
    return issue_certificate(folder, "mx.example.com"), "issued for another name"


def self_signed(folder: Path) -> tuple[CertificateFiles, str]:
    """The certificate is its own authority, and nobody was told to trust it."""
    files = _self_signed(folder)
    stranger = issue_certificate(folder / "stranger")
    return CertificateFiles(stranger.ca, files.certificate, files.key), "self-signed"


def from_an_unknown_authority(folder: Path) -> tuple[CertificateFiles, str]:
    files, stranger = issue_certificate(folder), issue_certificate(folder / "stranger")
    return CertificateFiles(stranger.ca, files.certificate, files.key), "unknown authority"


KINDS = (expired, not_yet_valid, for_another_name, self_signed, from_an_unknown_authority)


@pytest.mark.parametrize("encryption", BOTH)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_certificate_that_proves_nothing_is_refused_with_the_reason(
    running: Running, tmp_path: Path, kind: object, encryption: Encryption
) -> None:
    files, reason = kind(tmp_path)  # type: ignore[operator]
    async with BadServer(
        tls=files.server_context(),
        implicit_tls=encryption is Encryption.TLS,
        credentials=LOGIN,
        auth_in_clear=True,
    ) as server:
        await add_secure(running, server.port, files.ca, host="localhost", encryption=encryption)
        attempt = await first_attempt(running)
        nothing_at_all(server)
    assert "the certificate of localhost was refused" in attempt.words
    assert reason in attempt.words
    assert attempt.category == "tls_failed"


@pytest.mark.parametrize("encryption", BOTH)
async def test_an_old_version_of_tls_is_refused(
    running: Running, certificate: CertificateFiles, encryption: Encryption
) -> None:
    context = certificate.server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    implicit = encryption is Encryption.TLS
    async with BadServer(tls=context, implicit_tls=implicit, credentials=LOGIN) as server:
        await add_secure(running, server.port, certificate.ca, encryption=encryption)
        attempt = await first_attempt(running)
        nothing_at_all(server)
    assert attempt.category == "tls_failed"


@pytest.mark.parametrize("encryption", BOTH)
async def test_the_right_certificate_is_accepted_by_name_and_by_address(
    running: Running, certificate: CertificateFiles, encryption: Encryption
) -> None:
    """So that the refusals above are known to come from the certificate."""
    implicit = encryption is Encryption.TLS
    for host in ("localhost", "127.0.0.1"):
        tls = certificate.server_context()
        async with BadServer(tls=tls, implicit_tls=implicit, credentials=LOGIN) as server:
            await add_secure(running, server.port, certificate.ca, host=host, encryption=encryption)
            receipt = await running.submit()
            await running.until(receipt.message)
            assert server.messages[0].username == "relay"
            for each in await running.house.storage.directory.servers(running.app.id):
                await running.house.storage.directory.remove_server(each.id)


@pytest.mark.parametrize("encryption", BOTH)
async def test_without_the_check_a_self_signed_certificate_is_taken(
    running: Running, tmp_path: Path, encryption: Encryption
) -> None:
    """Whoever turned it off on purpose is not stopped."""
    files, _ = self_signed(tmp_path)
    implicit = encryption is Encryption.TLS
    async with BadServer(
        tls=files.server_context(), implicit_tls=implicit, credentials=LOGIN
    ) as server:
        await add_secure(running, server.port, "", encryption=encryption, verify=False)
        receipt = await running.submit()
        await running.until(receipt.message)
        assert server.messages[0].tls


def _self_signed(folder: Path) -> CertificateFiles:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(LONG_AGO)
        .not_valid_after(FAR_AHEAD)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = CertificateFiles(folder / "own.pem", folder / "own.pem", folder / "own.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
