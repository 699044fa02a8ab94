from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.net.tls import (
    LocalCertificate,
    client_context,
    describe_tls,
    ensure_local_ca,
    explain_tls_failure,
    server_context,
)

DAY_MS = 86_400_000
NOW = 1_800_000_000_000


class At:
    """A clock that stands still."""

    def __init__(self, now_ms: int = NOW) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return 0.0


def leaf(files: LocalCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.cert_path.read_bytes())


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost"
) -> ssl.SSLObject:
    """A handshake in memory; returns the client's side. Raises what the client finds wrong."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(6):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return theirs


def test_the_authority_and_its_certificate_are_made_once(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path, ["host.example.test"], clock=At())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}
    assert ensure_local_ca(tmp_path, ["host.example.test"], clock=At()) == files
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_keys_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    ensure_local_ca(tmp_path, clock=At())
    for name in ("ca-key.pem", "server-key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_the_certificate_is_called_by_the_name_it_was_given(tmp_path: Path) -> None:
    for given, called in (
        ([], "localhost"),
        (["Host.Example.Test", "192.0.2.7"], "host.example.test"),
    ):
        directory = tmp_path / called
        directory.mkdir()
        files = ensure_local_ca(directory, given, clock=At())
        assert leaf(files).subject.rfc4514_string() == f"CN={called}"


def test_what_the_certificates_say(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path, ["Host.Example.Test", "192.0.2.7"], clock=At())
    authority = x509.load_pem_x509_certificate(files.ca_path.read_bytes())
    certificate = leaf(files)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "host.example.test"]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.7"]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    assert (certificate.not_valid_after_utc.timestamp() * 1000 - NOW) / DAY_MS == 365
    assert (authority.not_valid_after_utc.timestamp() * 1000 - NOW) / DAY_MS == 3650
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    certificate.verify_directly_issued_by(authority)


@pytest.mark.parametrize(("days", "renewed"), [(334, False), (336, True), (400, True)])
def test_the_certificate_is_renewed_when_thirty_days_are_left(
    tmp_path: Path, days: int, renewed: bool
) -> None:
    files = ensure_local_ca(tmp_path, clock=At())
    serial = leaf(files).serial_number
    authority = files.ca_path.read_bytes()
    ensure_local_ca(tmp_path, clock=At(NOW + days * DAY_MS))
    assert (leaf(files).serial_number != serial) is renewed
    assert files.ca_path.read_bytes() == authority, "the authority is what programs trust"


def test_a_new_name_makes_a_new_certificate_and_an_old_one_does_not(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path, ["one.example.test"], clock=At())
    serial = leaf(files).serial_number
    ensure_local_ca(tmp_path, clock=At())
    assert leaf(files).serial_number == serial
    ensure_local_ca(tmp_path, ["two.example.test"], clock=At())
    assert leaf(files).serial_number != serial


@pytest.mark.parametrize("spoil", ["server.pem", "server-key.pem"])
@pytest.mark.parametrize("with_what", [None, b"", b"not PEM", "another key"])
def test_a_certificate_that_does_not_fit_its_key_is_made_anew(
    tmp_path: Path, spoil: str, with_what: bytes | str | None
) -> None:
    files = ensure_local_ca(tmp_path, clock=At())
    if with_what is None:
        (tmp_path / spoil).unlink()
    elif isinstance(with_what, bytes):
        (tmp_path / spoil).write_bytes(with_what)
    else:
        other = ensure_local_ca(_folder(tmp_path / "other"), clock=At())
        source = other.cert_path if spoil == "server.pem" else other.key_path
        (tmp_path / spoil).write_bytes(source.read_bytes())
    ensure_local_ca(tmp_path, clock=At())
    shake_hands(server_context(files.cert_path, files.key_path), _lenient_of_time(files.ca_path))


def test_an_authority_whose_key_is_gone_or_wrong_is_never_replaced_in_silence(
    tmp_path: Path,
) -> None:
    ensure_local_ca(tmp_path, clock=At())
    other = ensure_local_ca(_folder(tmp_path / "other"), clock=At())
    renewing = At(NOW + 350 * DAY_MS)
    (tmp_path / "ca-key.pem").write_bytes((other.ca_path.parent / "ca-key.pem").read_bytes())
    with pytest.raises(TlsFilesUnusable, match="do not belong together"):
        ensure_local_ca(tmp_path, clock=renewing)
    (tmp_path / "ca-key.pem").unlink()
    with pytest.raises(TlsFilesUnusable, match="cannot be read") as caught:
        ensure_local_ca(tmp_path, clock=renewing)
    assert caught.value.fix is not None
    ensure_local_ca(tmp_path, clock=At())  # while the certificate is good, nobody needs the key


def test_a_crash_between_the_two_files_of_the_authority_is_survived(tmp_path: Path) -> None:
    ensure_local_ca(tmp_path, clock=At())
    (tmp_path / "ca.pem").unlink()
    files = ensure_local_ca(tmp_path, clock=At())
    leaf(files).verify_directly_issued_by(
        x509.load_pem_x509_certificate(files.ca_path.read_bytes())
    )


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(TlsFilesUnusable, match="cannot write"):
        ensure_local_ca(tmp_path / "missing", clock=At())


def test_our_own_certificate_passes_a_full_check(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path)
    server = server_context(files.cert_path, files.key_path)
    for name in ("localhost", "127.0.0.1", "::1"):
        client = client_context(True, str(files.ca_path))
        done = shake_hands(server, client, name)
        assert done.version() == "TLSv1.3"
        assert done.selected_alpn_protocol() is None
        assert describe_tls(done).startswith("TLSv1.3 TLS_")


def test_contexts_know_nothing_below_tls_1_2(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path)
    server = server_context(files.cert_path, files.key_path)
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    for verify in (True, False):
        assert client_context(verify).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_client_context_is_kept_until_its_file_changes(tmp_path: Path) -> None:
    one = ensure_local_ca(_folder(tmp_path / "one"))
    two = ensure_local_ca(_folder(tmp_path / "two"))
    file = tmp_path / "trusted.pem"
    file.write_bytes(one.ca_path.read_bytes())
    first = client_context(True, str(file))
    assert client_context(True, str(file)) is first
    file.write_bytes(two.ca_path.read_bytes())
    import os

    os.utime(file, (1, 1))
    server = server_context(two.cert_path, two.key_path)
    shake_hands(server, client_context(True, str(file)))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, first)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path)
    other = ensure_local_ca(_folder(tmp_path / "other"))
    broken = tmp_path / "broken.pem"
    broken.write_text("nonsense")
    with pytest.raises(TlsFilesUnusable, match="no such file"):
        server_context(tmp_path / "none.pem", files.key_path)
    with pytest.raises(TlsFilesUnusable, match="key values mismatch"):
        server_context(files.cert_path, other.key_path)
    with pytest.raises(TlsFilesUnusable, match=r"broken\.pem"):
        server_context(broken, files.key_path)
    with pytest.raises(TlsFilesUnusable, match=r"broken\.pem"):
        client_context(True, str(broken))
    with pytest.raises(TlsFilesUnusable, match=r"none\.pem"):
        client_context(True, str(tmp_path / "none.pem"))
    assert client_context(False, str(broken)).verify_mode is ssl.CERT_NONE


# --- words -----------------------------------------------------------------------------------


def test_what_is_wrong_with_a_certificate_is_explained(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path, clock=At(1_600_000_000_000))  # long ago
    server = server_context(files.cert_path, files.key_path)
    assert "it has expired" in _explained(server, files.ca_path)
    fresh = ensure_local_ca(_folder(tmp_path / "fresh"))
    server = server_context(fresh.cert_path, fresh.key_path)
    assert "unknown authority" in _explained(server, files.ca_path)
    assert "another name" in _explained(server, fresh.ca_path, "other.example.test")
    assert "another address" in _explained(server, fresh.ca_path, "192.0.2.1")
    future = ensure_local_ca(_folder(tmp_path / "future"), clock=At(4_000_000_000_000))
    server = server_context(future.cert_path, future.key_path)
    assert "not valid yet" in _explained(server, future.ca_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "failed"),
        (ssl.SSLError(1, "[SSL] odd"), "[SSL] odd"),
        (TimeoutError(), "not finished in time"),
        (ConnectionAbortedError(), "not finished in time"),
        (ConnectionResetError(), "closed during the handshake"),
    ],
)
def test_other_failures_are_explained(error: Exception, words: str) -> None:
    text = explain_tls_failure(error, "mx.example.test")
    assert words in text and "mx.example.test" in text


def test_no_tls_is_described_by_nothing() -> None:
    assert describe_tls(None) == ""


def _explained(server: ssl.SSLContext, authority: Path, name: str = "localhost") -> str:
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server, client_context(True, str(authority)), name)
    return explain_tls_failure(caught.value, name)


def _lenient_of_time(authority: Path) -> ssl.SSLContext:
    """Checks everything but the dates, which lie in the future here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    return context


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_private_keys_are_pkcs8_without_passphrase(tmp_path: Path) -> None:
    files = ensure_local_ca(tmp_path)
    text = files.key_path.read_bytes()
    assert text.startswith(b"-----BEGIN PRIVATE KEY-----")
    serialization.load_pem_private_key(text, None)
