from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from pillarbox.net import certificates as module
from pillarbox.net.certificates import Certificates, ObtainedPair, TlsConfig
from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.net.tls import ensure_local_ca
from pillarbox.terms.clock import SystemClock, from_ms
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting

DAY_SECONDS = 86_400


class Clock:
    """Begins now, and goes on when it is told."""

    def __init__(self) -> None:
        self.passed_seconds = 0.0
        self._began_ms = SystemClock().now_ms()

    def now_ms(self) -> int:
        return self._began_ms + round(self.passed_seconds * 1000)

    def monotonic(self) -> float:
        return self.passed_seconds


class Desk:
    """An authority that writes pairs of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.clock = Clock()

    def issue(self, name: str, *names: str, days: float = 90) -> tuple[str, str]:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        ends = from_ms(self.clock.now_ms() + round(days * DAY_SECONDS * 1000))
        leaf = self.authority.issue_cert(
            *(names or (name,)), not_after=ends, not_before=from_ms(self.clock.now_ms() - 10**10)
        )
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        return str(cert), str(key)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Level, event and values of what was logged."""
    lines: list[tuple[str, str, dict[str, Any]]] = []

    class Log:
        def __getattr__(self, level: str) -> Any:
            return lambda event, **values: lines.append((level, event, values))

    monkeypatch.setattr(module, "_log", Log())
    return lines


def names_shown(context: ssl.SSLContext, asked: str | None) -> set[str]:
    """Whose certificate a client gets that asks for a name, in a handshake in memory."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=asked)
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    from cryptography import x509

    der = client.getpeercert(binary_form=True)
    assert der is not None
    leaf = x509.load_der_x509_certificate(der)
    held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(held.get_values_for_type(x509.DNSName))


def change(path: str, data: bytes) -> None:
    """As a program does that renews certificates: written beside, then put in its place."""
    beside = Path(f"{path}.new")
    beside.write_bytes(data)
    beside.replace(path)


def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(desk: Desk) -> None:
    pairs = [
        desk.issue("mail.example.com"),
        desk.issue("smtp.example.org", "smtp.example.org", "*.example.net"),
    ]
    context = Certificates(pairs, desk.clock).current()
    first, second = {"mail.example.com"}, {"smtp.example.org", "*.example.net"}
    assert names_shown(context, "mail.example.com") == first
    assert names_shown(context, "SMTP.Example.ORG") == second
    assert names_shown(context, "any.example.net") == second
    assert names_shown(context, "deeper.any.example.net") == first, "a wildcard is one label"
    assert names_shown(context, "example.net") == first
    assert names_shown(context, "elsewhere.example") == first
    assert names_shown(context, None) == first


def test_of_two_for_one_name_the_first_is_shown(desk: Desk) -> None:
    pairs = [desk.issue("a", "mail.example.com", "a.test"), desk.issue("b", "mail.example.com")]
    context = Certificates(pairs, desk.clock).current()
    assert names_shown(context, "mail.example.com") == {"mail.example.com", "a.test"}


def test_changed_files_are_read_again_and_unchanged_ones_are_not(desk: Desk) -> None:
    pair = desk.issue("mail.example.com")
    shown = Certificates([pair], desk.clock)
    before = shown.current()
    shown.look()
    assert shown.current() is before
    desk.issue("mail.example.com", "new.example.com")
    shown.look()
    assert names_shown(shown.current(), None) == {"new.example.com"}
    assert names_shown(before, None) == {"mail.example.com"}, "who has it already keeps it"


def test_a_broken_pair_is_refused_once_and_the_one_before_stays(
    desk: Desk, logged: list[tuple[str, str, dict[str, Any]]]
) -> None:
    cert, key = desk.issue("mail.example.com")
    shown = Certificates([(cert, key)], desk.clock)
    before = shown.current()
    other_cert, other_key = desk.issue("other")
    for broken in (b"", b"no certificate at all", Path(other_cert).read_bytes()):
        change(cert, broken)
        shown.look()
        shown.look()
        assert shown.current() is before
        level, event, values = logged.pop()
        assert (level, event) == ("error", "certificate.refused")
        assert cert in values["words"] and "the one before stays in use" in values["words"]
        assert not logged, "said once, not at every look"
    change(key, Path(other_key).read_bytes())
    shown.look()
    assert names_shown(shown.current(), None) == {"other"}
    assert [event for _, event, _ in logged] == ["certificate.loaded"]


def test_files_that_are_gone_change_nothing(
    desk: Desk, logged: list[tuple[str, str, dict[str, Any]]]
) -> None:
    cert, key = desk.issue("mail.example.com")
    shown = Certificates([(cert, key)], desk.clock)
    before = shown.current()
    os.unlink(cert)
    assert not shown.reload()
    assert shown.current() is before
    assert logged[0][:2] == ("error", "certificate.refused")


def test_one_broken_pair_of_several_changes_none(
    desk: Desk, logged: list[tuple[str, str, dict[str, Any]]]
) -> None:
    pairs = [desk.issue("mail.example.com"), desk.issue("smtp.example.org")]
    shown = Certificates(pairs, desk.clock)
    desk.issue("mail.example.com", "new.example.com")
    change(pairs[1][0], b"broken")
    shown.look()
    assert names_shown(shown.current(), None) == {"mail.example.com"}
    assert names_shown(shown.current(), "smtp.example.org") == {"smtp.example.org"}


def test_a_pair_that_cannot_be_used_is_refused_at_the_start(desk: Desk) -> None:
    cert, _ = desk.issue("mail.example.com")
    with pytest.raises(TlsFilesUnusable, match="cannot be used"):
        Certificates([(cert, str(desk.folder / "missing.key"))], desk.clock)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(desk: Desk) -> None:
    cert, key = desk.issue("mail.example.com")
    locked = serialization.load_pem_private_key(Path(key).read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    Path(key).write_bytes(locked)
    with pytest.raises(TlsFilesUnusable, match="cannot be used"):
        Certificates([(cert, key)], desk.clock)


async def test_it_warns_before_a_certificate_expires_and_once_a_day(
    desk: Desk, logged: list[tuple[str, str, dict[str, Any]]]
) -> None:
    shown = Certificates([desk.issue("mail.example.com", days=15)], desk.clock)
    shown.look()
    assert not logged
    assert shown.seconds_left() == pytest.approx(15 * DAY_SECONDS, abs=60)
    for _ in range(3):
        desk.clock.passed_seconds += 1.5 * DAY_SECONDS
        shown.look()
        shown.look()
    assert [(level, event) for level, event, _ in logged] == [
        ("warning", "certificate.expires")
    ] * 3
    assert logged[0][2]["words"].startswith("it expires in 13d 1")
    desk.clock.passed_seconds += 12 * DAY_SECONDS
    shown.look()
    assert logged[-1][:2] == ("error", "certificate.expired")
    assert shown.seconds_left() < 0


def test_of_several_the_first_to_expire_counts(desk: Desk) -> None:
    pairs = [desk.issue("mail.example.com", days=80), desk.issue("smtp.example.org", days=20)]
    left = Certificates(pairs, desk.clock).seconds_left()
    assert left == pytest.approx(20 * DAY_SECONDS, abs=60)


def test_a_certificate_of_our_own_is_renewed_while_we_run(tmp_path: Path) -> None:
    clock = Clock()

    def renew() -> None:
        ensure_local_ca(tmp_path, ["mail.example.com"], clock=clock)

    renew()
    pair = (str(tmp_path / "server.pem"), str(tmp_path / "server-key.pem"))
    shown = Certificates([pair], clock, renew=renew)
    assert shown.seconds_left() == pytest.approx(365 * DAY_SECONDS, abs=60)
    clock.passed_seconds = 334 * DAY_SECONDS
    shown.look()
    assert shown.seconds_left() == pytest.approx(31 * DAY_SECONDS, abs=60)
    clock.passed_seconds = 336 * DAY_SECONDS
    shown.look()
    assert shown.seconds_left() == pytest.approx(365 * DAY_SECONDS, abs=60)


async def test_the_files_are_looked_at_until_it_is_stopped(desk: Desk) -> None:
    shown = Certificates([desk.issue("mail.example.com")], desk.clock, look_seconds=0.01)
    running = asyncio.create_task(shown.run())
    desk.issue("mail.example.com", "new.example.com")
    async with asyncio.timeout(10):
        while names_shown(shown.current(), None) != {"new.example.com"}:
            await asyncio.sleep(0.01)
        shown.stop()
        await running


def test_keys_may_lie_in_the_files_of_their_certificates() -> None:
    assert TlsConfig().pairs == ()
    assert TlsConfig("a.pem").pairs == (("a.pem", "a.pem"),)
    assert TlsConfig("a.pem", "a.key", ("b.pem", "c.pem"), ("b.key", "c.key")).pairs == (
        ("a.pem", "a.key"), ("b.pem", "b.key"), ("c.pem", "c.key"),
    )  # fmt: skip
    assert TlsConfig("a.pem", "a.key", ("b.pem",)).pairs[1] == ("b.pem", "b.pem")


@pytest.mark.parametrize(
    "wrong",
    [("", "a.key"), ("", "", ("b.pem",)), ("a.pem", "a.key", ("b.pem",), ("b.key", "c.key"))],
)
def test_files_that_do_not_match_up_are_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidSetting):
        TlsConfig(*wrong)


# --- obtained from an authority ---------------------------------------------------------------


def obtained(desk: Desk, host: str, **facts: float) -> ObtainedPair:
    cert, key = desk.issue(f"obtained-{host}", host, **facts)
    return ObtainedPair(host, Path(cert).read_text(), Secret(Path(key).read_text()))


def test_what_was_obtained_is_shown_for_its_name_also_before_a_file(desk: Desk) -> None:
    files = desk.issue("mail", "mail.example.com", "track.example.com")
    certificates = Certificates([files], desk.clock)
    usual = {"mail.example.com", "track.example.com"}
    assert names_shown(certificates.current(), "track.example.com") == usual
    certificates.hold([obtained(desk, "track.example.com")])
    assert names_shown(certificates.current(), "track.example.com") == {"track.example.com"}
    assert names_shown(certificates.current(), "mail.example.com") == usual
    assert names_shown(certificates.current(), None) == usual
    assert names_shown(certificates.always(), "track.example.com") == {"track.example.com"}
    certificates.hold([])
    assert names_shown(certificates.current(), "track.example.com") == usual


def test_what_was_obtained_for_this_machine_is_for_who_asks_for_no_name(desk: Desk) -> None:
    files = desk.issue("local", "localhost")
    certificates = Certificates([files], desk.clock, hostname="mail.example.com")
    certificates.hold([obtained(desk, "a.example.com"), obtained(desk, "mail.example.com")])
    assert names_shown(certificates.current(), None) == {"mail.example.com"}
    assert names_shown(certificates.always(), None) == {"mail.example.com"}
    assert names_shown(certificates.current(), "localhost") == {"localhost"}
    assert names_shown(certificates.current(), "a.example.com") == {"a.example.com"}


def test_a_host_is_covered_by_what_names_it_as_long_as_that_holds(desk: Desk) -> None:
    certificates = Certificates(
        [desk.issue("files", "mail.example.com", "*.wild.example.com")], desk.clock
    )
    certificates.hold([obtained(desk, "track.example.com")])
    for host in ("mail.example.com", "a.wild.example.com", "track.example.com"):
        assert certificates.covers(host)
    for host in ("example.com", "a.b.wild.example.com", "wild.example.com", "com", ""):
        assert not certificates.covers(host)
    desk.clock.passed_seconds += 400 * DAY_SECONDS * 10
    assert not certificates.covers("track.example.com")


def test_files_that_change_keep_what_was_obtained(desk: Desk) -> None:
    files = desk.issue("mail.example.com")
    certificates = Certificates([files], desk.clock)
    certificates.hold([obtained(desk, "track.example.com")])
    desk.issue("mail.example.com", "new.example.com")
    assert certificates.reload()
    assert names_shown(certificates.current(), "track.example.com") == {"track.example.com"}
    assert names_shown(certificates.current(), None) == {"new.example.com"}


def test_an_obtained_pair_that_cannot_be_used_is_left_out_and_told(
    desk: Desk, logged: list[tuple[str, str, dict[str, Any]]]
) -> None:
    certificates = Certificates([desk.issue("mail.example.com")], desk.clock)
    good = obtained(desk, "track.example.com")
    certificates.hold([ObtainedPair("bad.example.com", good.chain, Secret("nothing")), good])
    assert names_shown(certificates.current(), "track.example.com") == {"track.example.com"}
    assert ("error", "certificate.refused") in [(level, event) for level, event, _ in logged]


def test_how_long_is_left_counts_what_was_obtained(desk: Desk) -> None:
    certificates = Certificates([desk.issue("mail.example.com", days=90)], desk.clock)
    certificates.hold([obtained(desk, "track.example.com", days=5)])
    assert certificates.seconds_left() == pytest.approx(5 * DAY_SECONDS, abs=60)


def test_the_key_of_an_obtained_pair_lies_in_no_file(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("TMPDIR", str(folder))
    certificates = Certificates([desk.issue("mail.example.com")], desk.clock)
    pair = obtained(desk, "track.example.com")
    before = sorted(desk.folder.iterdir())
    certificates.hold([pair])
    assert sorted(desk.folder.iterdir()) == before
    assert list(folder.iterdir()) == []
