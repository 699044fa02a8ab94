from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pillarbox.net.errors import Broken
from pillarbox.net.peer_certificate import (
    check_pin,
    check_tlsa,
    fingerprint,
    result_of,
    shown_chain,
)
from pillarbox.policy.tlsa import Tlsa

NAME = "mx.example.test"


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def digest(certificate: bytes, usage: int) -> Tlsa:
    return Tlsa(usage, 0, 1, hashlib.sha256(certificate).digest())


def test_without_tls_nothing_was_shown() -> None:
    assert shown_chain(None) == []


@pytest.mark.parametrize("chain", [[], [b"no certificate"]])
def test_what_cannot_be_read_matches_no_pin(chain: list[bytes]) -> None:
    for pin in ("ab" * 32, "", hashlib.sha256(b"").hexdigest()):
        with pytest.raises(Broken, match="cannot be read"):
            check_pin(chain, pin, NAME)
    assert fingerprint(b"no certificate") == ""


@pytest.mark.parametrize("chain", [[], [b"no certificate"], [b"no", b"certificates"]])
def test_what_cannot_be_read_matches_no_record_of_a_key_or_an_authority(
    chain: list[bytes],
) -> None:
    empty = hashlib.sha256(b"").digest()
    records = [Tlsa(3, 1, 1, empty), Tlsa(2, 1, 1, empty), Tlsa(2, 0, 0, b"no certificate")]
    with pytest.raises(Broken, match="DANE"):
        check_tlsa(chain, records, [NAME], NAME)


def test_a_certificate_that_is_published_whole_matches_even_where_it_cannot_be_read() -> None:
    check_tlsa([b"strange"], [digest(b"strange", 3)], [NAME], NAME)


def test_a_chain_with_an_authority_between_leads_to_the_one_that_is_published() -> None:
    root = trustme.CA()
    between = root.create_child_ca()
    leaf = between.issue_cert(NAME)
    chain = [der(leaf.cert_chain_pems[0].bytes()), der(between.cert_pem.bytes())]
    top = der(root.cert_pem.bytes())
    check_tlsa([*chain, top], [digest(top, 2)], [NAME], NAME)
    check_tlsa(chain, [digest(chain[1], 2)], [NAME], NAME)
    check_tlsa([chain[0], top, chain[1]], [digest(top, 2)], [NAME], NAME)
    with pytest.raises(Broken):
        check_tlsa([chain[0], top], [digest(top, 2)], [NAME], NAME)


def test_under_an_authority_a_certificate_that_has_expired_does_not_pass() -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert(NAME, not_after=datetime(2020, 1, 1, tzinfo=UTC))
    chain = [der(leaf.cert_chain_pems[0].bytes()), der(authority.cert_pem.bytes())]
    with pytest.raises(Broken, match="not valid under"):
        check_tlsa(chain, [digest(chain[1], 2)], [NAME], NAME)
    check_tlsa(chain, [digest(chain[0], 3)], [NAME], NAME)


def test_a_wildcard_stands_for_one_label_under_an_authority_too() -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("*.example.test")
    chain = [der(leaf.cert_chain_pems[0].bytes()), der(authority.cert_pem.bytes())]
    check_tlsa(chain, [digest(chain[1], 2)], [NAME], NAME)
    with pytest.raises(Broken):
        check_tlsa(chain, [digest(chain[1], 2)], ["a.b.example.test"], NAME)


def test_failures_have_the_names_that_reports_want() -> None:
    def refused(code: int) -> ssl.SSLCertVerificationError:
        error = ssl.SSLCertVerificationError("refused")
        error.verify_code = code
        return error

    assert result_of(refused(10)) == "certificate-expired"
    assert result_of(refused(62)) == "certificate-host-mismatch"
    assert result_of(refused(18)) == "certificate-not-trusted"
    assert result_of(ConnectionResetError()) == "validation-failure"
