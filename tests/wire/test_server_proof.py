"""what a server must show where no authority is asked: pins, TLSA records, plans for MX hosts"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pillarbox.net.errors import Broken
from pillarbox.net.peer_certificate import fingerprint
from pillarbox.net.smtp_client import Connection
from pillarbox.policy.tls_plan import Demand, TlsPlan
from pillarbox.policy.tlsa import Tlsa
from tests.doubles.bad_server import BadServer
from tests.wire.conversation import HOST

NAME = "mx.example.test"
MAY = TlsPlan(Demand.MAY, may_fall_back=True)
BOTH_WAYS = pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])


class Shown:
    """A certificate for `NAME` under an authority, shown with or without the authority's own."""

    def __init__(self, folder: Path, *, whole_chain: bool = False, name: str = NAME) -> None:
        authority = trustme.CA()
        self.authority = _der(authority.cert_pem.bytes())
        leaf = authority.issue_cert(name)
        pems = [blob.bytes() for blob in leaf.cert_chain_pems]
        self.leaf = _der(pems[0])
        if whole_chain:
            pems.append(authority.cert_pem.bytes())
        path = folder / "shown.pem"
        path.write_bytes(b"".join([leaf.private_key_pem.bytes(), *pems]))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path)

    @property
    def pin(self) -> str:
        return fingerprint(self.leaf)


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def _key(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def dane(*records: Tlsa, names: tuple[str, ...] = (NAME,)) -> TlsPlan:
    return TlsPlan(Demand.DANE, tlsa=records, names=names)


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


async def open_to(server: BadServer, **wishes: object) -> Connection:
    wishes.setdefault("encryption", "starttls")
    return await Connection.open(
        HOST, server.port, hello_name="client.example.test", **wishes,  # type: ignore[arg-type]
    )  # fmt: skip


async def refused(server: BadServer, **wishes: object) -> Broken:
    with pytest.raises(Broken) as caught:
        await open_to(server, **wishes)
    assert caught.value.stage == "starttls"
    # Nothing was said under a name that was not proved: no EHLO behind the handshake, no mail.
    for session in server.sessions:
        assert "MAIL" not in session.verbs and session.verbs.count("EHLO") <= 1
    return caught.value


# --- pins ------------------------------------------------------------------------------------


@BOTH_WAYS
async def test_a_pinned_key_is_enough_and_no_authority_is_asked(
    shown: Shown, implicit: bool
) -> None:
    async with BadServer(tls=shown.context, implicit_tls=implicit) as server:
        encryption = "tls" if implicit else "starttls"
        connection = await open_to(server, encryption=encryption, pin=shown.pin)
        assert connection.facts.tls.endswith("certificate pinned")
        await connection.quit()


@BOTH_WAYS
async def test_another_key_than_the_pinned_one_ends_it_with_words_that_name_both(
    shown: Shown, implicit: bool
) -> None:
    async with BadServer(tls=shown.context, implicit_tls=implicit) as server:
        encryption = "tls" if implicit else "starttls"
        broken = await refused(server, encryption=encryption, pin="ab" * 32)
    assert shown.pin in broken.words and "another key than the one pinned" in broken.words
    assert broken.error_code == "upstream_tls_failed"


async def test_a_pin_may_be_written_as_tools_print_it(shown: Shown) -> None:
    printed = ":".join(shown.pin[at : at + 2].upper() for at in range(0, len(shown.pin), 2))
    async with BadServer(tls=shown.context) as server:
        await (await open_to(server, pin=printed)).quit()


# --- DANE ------------------------------------------------------------------------------------


def end_entity(shown: Shown) -> Iterator[Tlsa]:
    for selector, chosen in ((0, shown.leaf), (1, _key(shown.leaf))):
        yield Tlsa(3, selector, 0, chosen)
        yield Tlsa(3, selector, 1, hashlib.sha256(chosen).digest())
        yield Tlsa(3, selector, 2, hashlib.sha512(chosen).digest())


async def test_records_of_the_servers_own_key_match_in_every_form_whatever_its_name(
    tmp_path: Path,
) -> None:
    shown = Shown(tmp_path, name="somebody.else.test")
    async with BadServer(tls=shown.context) as server:
        for record in end_entity(shown):
            wrong = Tlsa(3, 1, 1, bytes(32))
            connection = await open_to(server, plan=dane(wrong, record))
            assert connection.facts.tls.endswith("certificate verified by DANE")
            await connection.quit()


@BOTH_WAYS
async def test_no_matching_record_ends_it_before_mail(shown: Shown, implicit: bool) -> None:
    async with BadServer(tls=shown.context, implicit_tls=implicit) as server:
        encryption = "tls" if implicit else "starttls"
        broken = await refused(server, encryption=encryption, plan=dane(Tlsa(3, 1, 1, bytes(32))))
    assert broken.words == f"{HOST} failed DANE: no TLSA record matches the certificate it showed"
    assert broken.tls_result == "validation-failure"


async def test_an_authority_in_the_chain_matches_for_one_of_the_names(tmp_path: Path) -> None:
    shown = Shown(tmp_path, whole_chain=True)
    for selector, chosen in ((0, shown.authority), (1, _key(shown.authority))):
        record = Tlsa(2, selector, 1, hashlib.sha256(chosen).digest())
        async with BadServer(tls=shown.context) as server:
            names = ("other.example.test", NAME)
            await (await open_to(server, plan=dane(record, names=names))).quit()


async def test_an_authority_may_stand_in_the_record_itself(tmp_path: Path) -> None:
    shown = Shown(tmp_path, whole_chain=False)
    async with BadServer(tls=shown.context) as server:
        await (await open_to(server, plan=dane(Tlsa(2, 0, 0, shown.authority)))).quit()


async def test_under_the_right_authority_another_name_does_not_pass(tmp_path: Path) -> None:
    shown = Shown(tmp_path, whole_chain=True, name="somebody.else.test")
    record = Tlsa(2, 0, 1, hashlib.sha256(shown.authority).digest())
    async with BadServer(tls=shown.context) as server:
        broken = await refused(server, plan=dane(record))
    assert "not valid under the authority" in broken.words


async def test_a_key_of_the_server_is_no_authority(shown: Shown) -> None:
    """A record of usage 2 that matches the server's own certificate proves nothing."""
    record = Tlsa(2, 0, 1, hashlib.sha256(shown.leaf).digest())
    async with BadServer(tls=shown.context) as server:
        await refused(server, plan=dane(record))


async def test_an_authority_that_did_not_sign_is_none(tmp_path: Path) -> None:
    """Anybody can put the right authority's certificate beside one of his own."""
    (tmp_path / "a").mkdir()
    right = Shown(tmp_path / "a", whole_chain=True)
    false_authority = trustme.CA()
    leaf = false_authority.issue_cert(NAME)
    path = tmp_path / "false.pem"
    right_pem = x509.load_der_x509_certificate(right.authority).public_bytes(Encoding.PEM)
    path.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes() + right_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    record = Tlsa(2, 0, 1, hashlib.sha256(right.authority).digest())
    async with BadServer(tls=context) as server:
        broken = await refused(server, plan=dane(record))
    assert "not valid under the authority" in broken.words


# --- plans -----------------------------------------------------------------------------------


async def test_where_a_plan_allows_it_a_host_without_starttls_gets_mail_in_clear() -> None:
    async with BadServer() as server:
        connection = await open_to(server, verify=False, plan=MAY)
        assert connection.facts.tls == ""
        await connection.quit()


async def test_where_a_plan_forbids_it_a_host_without_starttls_gets_nothing() -> None:
    async with BadServer() as server:
        for plan in (
            TlsPlan(Demand.MUST),
            TlsPlan(Demand.MTA_STS, verify=True),
            dane(Tlsa(3, 1, 1, bytes(32))),
        ):
            broken = await refused(server, plan=plan)
            assert broken.tls_result == "starttls-not-supported"


async def test_by_chance_every_certificate_will_do(shown: Shown) -> None:
    async with BadServer(tls=shown.context) as server:
        connection = await open_to(server, verify=False, plan=MAY)
        assert connection.facts.tls.endswith("certificate not verified")
        await connection.quit()


async def test_what_failed_has_its_name_for_reports(shown: Shown) -> None:
    async with BadServer(tls=shown.context) as server:
        broken = await refused(server, plan=TlsPlan(Demand.MTA_STS, verify=True))
    assert broken.tls_result == "certificate-not-trusted"
    assert broken.address == HOST
