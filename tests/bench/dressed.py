"""relays that change what they pass on: Pillarbox with its features, Postfix with opendkim"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import apsw

from pillarbox.message.dkim import SigningKey
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.storage.codec import decode, encode
from tests.bench.cells import Cell, Mail
from tests.bench.peers import APP, PillarboxPeer, PostfixPeer
from tests.bench.turn import BenchError, command
from tests.doubles.process import Program
from tests.samples.mails import newsletter, transactional

HOST = "track.example.test"
EVERYTHING = ("--inlinecss", "--trackclicks", "--trackopens", "--preventscam")
SAMPLES = {"transactional": transactional, "newsletter": newsletter}


@dataclass(frozen=True, slots=True)
class SampleCell(Cell):
    """One of the samples, over so many sessions; its size is its own."""

    sample: str = ""

    @property
    def name(self) -> str:
        """``newsletter-50-kept``."""
        return f"{self.sample}-{self.sessions}-{'kept' if self.kept else 'new'}"


def sample_cell(sample: str, sessions: int) -> SampleCell:
    """On connections that are kept."""
    return SampleCell(len(SAMPLES[sample]()) // 1024, sessions, True, sample=sample)


def write_sample(directory: Path, sample: str) -> Mail:
    """As smtp-source reads it."""
    content = SAMPLES[sample]()
    path = directory / f"mail-{sample}"
    path.write_bytes(content.replace(b"\r\n", b"\n"))
    return Mail(path, len(content))


class DressedPillarbox(PillarboxPeer):
    """The product with options on for its app, signing with a key of ours for the author's domain."""

    def __init__(
        self, place: Path, sink_port: int, options: tuple[str, ...], key: SigningKey
    ) -> None:
        """`options` are those of ``pillarbox app set``."""
        self.options = options
        self.key = key
        super().__init__(place, sink_port)

    def _entrance(self) -> list[str]:
        """And the tracking host that links lead to; nobody follows them here."""
        return [*super()._entrance(), "--set", f"tracking.host={HOST}"]

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            # Only a record in the DNS proves a domain, and nobody here asks the DNS.
            self._product.stop()
            self._prove()
            await self._product.start()
        except BaseException:
            self._product.kill()
            raise
        return self

    def _connect_sink(self) -> None:
        super()._connect_sink()
        key = self.key
        if self.options:
            self.tell("app", "set", APP, *self.options)
        self.tell("domain", "add", key.domain)
        pem = key.private_text().reveal()
        self.tell("domain", "import-key", key.domain, key.selector, "--pem", "-", stdin=pem)
        self.tell("domain", "activate-key", key.domain, key.selector, "--anyway")

    def _prove(self) -> None:
        """As a check that found the record would have left it."""
        connection = apsw.Connection(str(self.data / "pillarbox.db"))
        [(number, facts)] = connection.execute("SELECT id, facts FROM domain")
        domain = dataclasses.replace(decode(bytes(facts), SendingDomain), proved_at=1)
        connection.execute(
            "UPDATE domain SET proved = 1, facts = ? WHERE id = ?",
            (encode(domain), number),
        )
        connection.close()

    def about(self) -> dict[str, object]:
        """And what is on besides."""
        told = super().about()
        return told | {
            "on": [*_texts(told["on"]), f"DKIM, {self.key.algorithm}, 2048 bits", *self.options],
            "set": [
                *_texts(told["set"]),
                "tracking.host; a domain whose proof was written into the store",
            ],
        }


class SigningPostfix(PostfixPeer):
    """Postfix with opendkim, on a unix socket; the CPU of opendkim is not counted."""

    def __init__(self, place: Path, sink_port: int, key: SigningKey) -> None:
        self._folder = place / "opendkim"
        self._key = key
        self._signer: Program | None = None
        super().__init__(
            place,
            sink_port,
            smtpd_milters=f"unix:{self._folder}/socket",
            milter_default_action="tempfail",
        )

    async def __aenter__(self) -> Self:
        folder, key = self._folder, self._key
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "key").write_text(key.private_text().reveal())
        (folder / "key").chmod(0o600)
        (folder / "config").write_text(
            f"Mode s\nDomain {key.domain}\nSelector {key.selector}\nKeyFile {folder}/key\n"
            f"Socket local:{folder}/socket\nCanonicalization relaxed/relaxed\nUMask 000\n"
            "RequireSafeKeys no\nOversignHeaders From\nSignatureAlgorithm rsa-sha256\n"
            "Syslog no\nBackground no\n"
            f"InternalHosts 127.0.0.1\nPidFile {folder}/pid\n"
        )
        self._signer = Program(
            [command("opendkim"), "-f", "-x", str(folder / "config")],
            output=folder / "log",
            ready=(folder / "socket").exists,
        )
        await self._signer.start()
        try:
            await super().__aenter__()
        except BaseException:
            await self._signer.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await super().__aexit__()
        finally:
            if self._signer is not None:
                await self._signer.__aexit__()
            shutil.rmtree(self._folder, ignore_errors=True)

    def about(self) -> dict[str, object]:
        """And opendkim."""
        told = super().about()
        return told | {
            "on": [*_texts(told["on"]), "opendkim on a unix socket, RSA-2048, relaxed/relaxed"]
        }


def _texts(found: object) -> list[str]:
    if not isinstance(found, list):
        raise BenchError(f"{found!r} is no list")
    return found
