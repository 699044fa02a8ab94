"""the certificates our listeners show: chosen by name, read again when their files change

Every handshake asks for the context that holds now, so a new certificate needs no restart and
running sessions do not notice. A pair of files that cannot be used is refused with a sentence in
the log, and what was there before stays. Beside those of files there may be some that were obtained
from an authority and lie in storage.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from cryptography import x509

from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.net.passing_file import passing_file
from pillarbox.net.tls import server_context
from pillarbox.observe.log import logger
from pillarbox.terms.clock import Clock, format_duration
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting, setting

LOOK_SECONDS: Final = 10.0
_RENEW_SECONDS: Final = 3600.0
_WARN_SECONDS: Final = 14 * 86_400
_WARN_AGAIN_SECONDS: Final = 86_400.0

_log = logger("net")

Pair = tuple[str, str]
"""The paths of a certificate with its chain, and of the key that belongs to it."""

_Choosing = Callable[[ssl.SSLSocket | ssl.SSLObject, str | None, ssl.SSLContext], None]

Stamp = tuple[tuple[int, int, int] | None, ...]
"""By which it shows that files were changed."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The certificate our listeners show."""

    cert_file: str = setting(
        "", about="PEM file with the certificate and its chain; empty: one of our own is made."
    )
    key_file: str = setting(
        "",
        about="PEM file with the private key that belongs to cert_file; empty: it is in that file.",
    )
    more_cert_files: tuple[str, ...] = setting(
        (), about="PEM files with further certificates, shown to clients that ask for their names."
    )
    more_key_files: tuple[str, ...] = setting(
        (),
        about="PEM files with the private keys of more_cert_files, in the same order; empty: they "
        "are in those files.",
    )

    def __post_init__(self) -> None:
        if self.key_file and not self.cert_file:
            raise InvalidSetting("key_file comes with a cert_file")
        if self.more_cert_files and not self.cert_file:
            raise InvalidSetting("more_cert_files come beside a cert_file, which is the usual one")
        if self.more_key_files and len(self.more_key_files) != len(self.more_cert_files):
            raise InvalidSetting("more_key_files has one file for each of more_cert_files, or none")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Certificate and key of each, the first for whoever asks for none of the names."""
        if not self.cert_file:
            return ()
        keys = self.more_key_files or self.more_cert_files
        more = zip(self.more_cert_files, keys, strict=True)
        return ((self.cert_file, self.key_file or self.cert_file), *more)


@dataclass(frozen=True, slots=True)
class ObtainedPair:
    """A certificate with its chain, and its key, as PEM."""

    host: str
    chain: str
    key: Secret


@dataclass(frozen=True, slots=True)
class _Shown:
    """One certificate, ready for handshakes."""

    path: str
    context: ssl.SSLContext
    names: frozenset[str]
    """In lower case, some with ``*.`` before them."""
    ends_at_ms: int


class Certificates:
    """What is shown now. The first certificate is for whoever asks for none of the names."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        clock: Clock,
        *,
        renew: Callable[[], object] | None = None,
        hostname: str = "",
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Read all `pairs`, at least one. Raises `TlsFilesUnusable`.

        `renew` is called from time to time, and may write the files anew. With `hostname` a
        certificate that was obtained for it goes before the first pair, and is for whoever asks for
        no name.
        """
        self._pairs = tuple(pairs)
        self._clock = clock
        self._renew = renew
        self._look_seconds = look_seconds
        self._stop = asyncio.Event()
        self._renewed_at = clock.monotonic()
        self._warned_at = float("-inf")
        self._hostname = hostname
        self._stamp = self._look_at_files()
        self._obtained: dict[ObtainedPair, _Shown] = {}
        self._of_files = self._read()
        self._shown = self._arranged()

    def hold(self, pairs: Sequence[ObtainedPair]) -> None:
        """Show these from now on, and none of those given before that are not among them.

        For the names in them they are shown rather than those of files. One that cannot be used is
        logged and left out.
        """
        obtained = {}
        for pair in pairs:
            try:
                obtained[pair] = self._obtained.get(pair) or _read_obtained(pair)
            except TlsFilesUnusable as error:
                _log.error("certificate.refused", words=error.sentence)
        if obtained.keys() != self._obtained.keys():
            self._obtained = obtained
            self._shown = self._arranged()
            _log.info("certificate.obtained_shown", hosts=[pair.host for pair in obtained])

    def current(self) -> ssl.SSLContext:
        """What to do the next handshake with."""
        return self._shown[0].context

    def always(self) -> ssl.SSLContext:
        """For whoever keeps one context: each handshake with it shows what is current then."""
        context = server_context(*self._pairs[0])

        def choose(
            handshake: ssl.SSLSocket | ssl.SSLObject, asked: str | None, _: ssl.SSLContext
        ) -> None:
            first = self.current()
            handshake.context = first
            if (further := cast(_Choosing | None, first.sni_callback)) is not None:
                further(handshake, asked, first)

        context.sni_callback = choose
        return context

    def seconds_left(self) -> float:
        """Until the first of them expires; below 0 where one has."""
        ends_at_ms = min(each.ends_at_ms for each in self._shown)
        return (ends_at_ms - self._clock.now_ms()) / 1000

    def covers(self, host: str) -> bool:
        """Whether one that holds today names this host, given in lower case."""
        wanted = {host, f"*.{host.partition('.')[2]}"}
        now_ms = self._clock.now_ms()
        return any(each.ends_at_ms > now_ms and each.names & wanted for each in self._shown)

    def reload(self) -> bool:
        """Read the files again, changed or not; whether they could be used."""
        self._stamp = self._look_at_files()
        try:
            if self._renew is not None:
                self._renew()
                self._renewed_at = self._clock.monotonic()
                self._stamp = self._look_at_files()
            self._of_files = self._read()
        except TlsFilesUnusable as error:
            _log.error(
                "certificate.refused", words=f"{error.sentence}; the one before stays in use",
                fix=error.fix,
            )  # fmt: skip
            return False
        self._shown = self._arranged()
        _log.info(
            "certificate.loaded", files=[each.path for each in self._of_files],
            days_left=round(self.seconds_left() / 86_400),
        )  # fmt: skip
        self._warned_at = float("-inf")
        self._warn()
        return True

    def look(self) -> None:
        """Reload what has changed since it was read last; warn of what expires soon."""
        due = self._clock.monotonic() - self._renewed_at >= _RENEW_SECONDS
        if self._renew is not None and due:
            self._renewed_at = self._clock.monotonic()
            try:
                self._renew()
            except TlsFilesUnusable as error:
                _log.error("certificate.not_renewed", words=error.sentence, fix=error.fix)
        if self._look_at_files() != self._stamp:
            self.reload()
        self._warn()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    async def run(self) -> None:
        """Look, and look again, until `stop`."""
        self._warn()
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._stop.wait()
                    return
            try:
                self.look()
            except Exception:
                _log.exception("certificate.not_looked_at")

    def _warn(self) -> None:
        now = self._clock.monotonic()
        if now - self._warned_at < _WARN_AGAIN_SECONDS:
            return
        self._warned_at = now
        for each in self._shown:
            left = (each.ends_at_ms - self._clock.now_ms()) / 1000
            if left <= 0:
                _log.error("certificate.expired", file=each.path, words="clients will refuse it")
            elif left < _WARN_SECONDS:
                words = f"it expires in {format_duration(left)}"
                _log.warning("certificate.expires", file=each.path, words=words)

    def _read(self) -> tuple[_Shown, ...]:
        return tuple(_read_pair(*pair) for pair in self._pairs)

    def _arranged(self) -> tuple[_Shown, ...]:
        """In the order of who goes first where two have one name; the first is for all others."""
        obtained = list(self._obtained.values())
        shown = [*self._of_files, *obtained]
        if self._hostname:
            shown.sort(key=lambda each: each not in obtained or self._hostname not in each.names)
        shown[0].context.sni_callback = _chooser(shown[0], [*obtained, *self._of_files])
        return tuple(shown)

    def _look_at_files(self) -> Stamp:
        return tuple(_stamp(Path(path)) for pair in self._pairs for path in pair)


def _read_pair(cert_file: str, key_file: str) -> _Shown:
    context = server_context(cert_file, key_file)
    try:
        leaf = x509.load_pem_x509_certificates(Path(cert_file).read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        raise TlsFilesUnusable(f"the certificate {cert_file} cannot be read: {error}") from error
    ends_at_ms = round(leaf.not_valid_after_utc.timestamp() * 1000)
    return _Shown(cert_file, context, frozenset(_names_of(leaf)), ends_at_ms)


def _read_obtained(pair: ObtainedPair) -> _Shown:
    # A context is given keys as files alone; this one is nowhere once it was read.
    with passing_file((pair.chain + pair.key.reveal()).encode()) as path:
        shown = _read_pair(path, path)
    return replace(shown, path=f"(obtained for {pair.host})")


def _names_of(leaf: x509.Certificate) -> list[str]:
    try:
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [name.lower() for name in held.get_values_for_type(x509.DNSName)]


def _chooser(
    usual: _Shown, shown: Sequence[_Shown]
) -> Callable[[ssl.SSLSocket | ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """Switches a handshake to the certificate for the name that the client asks for."""
    by_name: dict[str, ssl.SSLContext] = {}
    for each in shown:
        for name in each.names:
            by_name.setdefault(name, each.context)
    first = usual.context

    def choose(
        handshake: ssl.SSLSocket | ssl.SSLObject, asked: str | None, _: ssl.SSLContext
    ) -> None:
        name = (asked or "").lower().rstrip(".")
        # A wildcard stands for one label, the leftmost (RFC 9525 §6.3).
        found = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}")
        if found is not None and found is not first:
            handshake.context = found

    return choose


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
