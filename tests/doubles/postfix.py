"""a private Postfix in a temporary directory: the peer that everybody measures against

Four roles, one class::

    upstream = Postfix.upstream(certificate, users={"u": "p"}, relay_to=sink.port)
    relaying = Postfix.relaying_client(to_port, ca_file, username="u", password="p")
    plain = Postfix.plain_relay(sink.port)         # default durable queue, for benchmarks
    guarded = Postfix.guarded_relay(sink.port, certificate, ("u", "p"), ("us", "pass"))

    async with upstream as postfix:
        ...                                        # submit to postfix.port (STARTTLS) or
                                                   # postfix.tls_port (TLS from the first byte)

An upstream without `relay_to` keeps what it takes as files: `stored()` gives them back, CRLF line
ends restored. Byte-for-byte comparison of bodies is better done by relaying on to our sink.

Each instance has its own configuration, queue, data directory and log below one temporary
directory, listens on loopback only, looks nothing up in DNS and leaves no process behind: what its
master started is found by parent, and killed by number together with its start time. The system's
own Postfix is never touched. Needs root, as every Postfix does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.doubles.certificates import CertificateFiles
from tests.doubles.ports import free_port
from tests.doubles.postfix_files import LOGIN_FILES, LOGINS, MAIN, MASTER, STORE
from tests.doubles.process import LOOK_EVERY_SECONDS, ProgramError, smtp_ready
from tests.doubles.usage import ProcessFacts, cpu_seconds, family_of, memory_bytes, read_process

_ADMIN_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_LOG_TAIL_CHARACTERS = 4000
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What an upstream without a next hop kept of one message."""

    return_path: str
    recipients: tuple[str, ...]
    content: bytes


class Postfix:
    """One private instance; an async context manager."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        files: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        implicit_tls: bool = False,
        hostname: str = "postfix.example.test",
        relay_restrictions: str = "permit_mynetworks, reject",
        start_seconds: float = 20.0,
    ) -> None:
        """`settings` go to main.cf; ``{home}`` in them and in `files` is the instance's directory.

        The class methods make the roles; this makes anything else.
        """
        self.settings = dict(settings)
        self.files = dict(files or {})
        self.users = dict(users or {})
        self.hostname = hostname
        self.relay_restrictions = relay_restrictions
        self.start_seconds = start_seconds
        self.port = 0
        self.tls_port = 0
        self._implicit_tls = implicit_tls
        self._home: Path | None = None
        self._master: ProcessFacts | None = None

    # --- roles ---------------------------------------------------------------------------------

    @classmethod
    def upstream(
        cls,
        certificate: CertificateFiles | None = None,
        *,
        users: Mapping[str, str] | None = None,
        relay_to: int | None = None,
        **settings: str,
    ) -> Self:
        """A server for the product: STARTTLS and implicit TLS with `certificate`, logins `users`.

        With `users` nobody gets in without a login, and with a certificate no login without TLS.
        What it takes goes to the sink on port `relay_to`, or is stored.
        """
        chosen = {"default_transport": "store", "store_destination_recipient_limit": "100"}
        if relay_to is not None:
            chosen = {"default_transport": f"smtp:[127.0.0.1]:{relay_to}"}
        if certificate is not None:
            chosen |= {
                "smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": str(certificate.certificate),
                "smtpd_tls_key_file": str(certificate.key),
                "smtpd_tls_auth_only": "yes",
                "smtpd_tls_loglevel": "1",
            }
        if users:
            chosen |= LOGINS
        return cls(
            chosen | settings,
            files=LOGIN_FILES,
            users=users,
            implicit_tls=certificate is not None,
            relay_restrictions="permit_sasl_authenticated, reject"
            if users
            else "permit_mynetworks",
        )

    @classmethod
    def relaying_client(
        cls,
        to_port: int,
        ca_file: Path | None = None,
        *,
        username: str = "",
        password: str = "",
        server_name: str = "localhost",
        implicit_tls: bool = False,
        mechanisms: str = "plain, login",
        retry_seconds: int = 1,
        **settings: str,
    ) -> Self:
        """An MTA that passes on what it gets through the product's listener on `to_port`.

        With `ca_file` TLS is required and the certificate must name `server_name`. What is
        deferred is tried again every `retry_seconds`.
        """
        chosen = {
            "relayhost": f"[127.0.0.1]:{to_port}",
            "queue_run_delay": f"{retry_seconds}s",
            "minimal_backoff_time": f"{retry_seconds}s",
            "maximal_backoff_time": f"{retry_seconds}s",
        }
        files = {}
        if ca_file is not None:
            chosen |= {
                "smtp_tls_security_level": "secure",
                "smtp_tls_CAfile": str(ca_file),
                "smtp_tls_secure_cert_match": server_name,
                "smtp_tls_loglevel": "1",
            }
            if implicit_tls:
                chosen["smtp_tls_wrappermode"] = "yes"
        if username:
            chosen |= {
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": "texthash:{home}/passwords",
                "smtp_sasl_security_options": "noanonymous",
                "smtp_sasl_mechanism_filter": mechanisms,
            }
            files["passwords"] = f"[127.0.0.1]:{to_port} {username}:{password}\n"
        return cls(chosen | settings, files=files, hostname="relay.example.test")

    @classmethod
    def plain_relay(cls, to_port: int, **settings: str) -> Self:
        """A relay as Postfix comes: its durable queue, no TLS, loopback may relay, all to a sink."""
        return cls({"relayhost": f"[127.0.0.1]:{to_port}", **settings})

    @classmethod
    def guarded_relay(
        cls,
        to_port: int,
        certificate: CertificateFiles,
        enters: tuple[str, str],
        leaves: tuple[str, str],
        **settings: str,
    ) -> Self:
        """A relay with TLS and a login on either side, and its durable queue in between.

        Mail comes in by STARTTLS or implicit TLS from whoever logs in with `enters`, a name and a
        password, and all of it goes to a server on `to_port`, by STARTTLS with a certificate that
        `certificate`'s authority vouches for, under the login `leaves`.
        """
        chosen = LOGINS | {
            "relayhost": f"[localhost]:{to_port}",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": str(certificate.certificate),
            "smtpd_tls_key_file": str(certificate.key),
            "smtpd_tls_auth_only": "yes",
            "smtp_tls_security_level": "secure",
            "smtp_tls_CAfile": str(certificate.ca),
            "smtp_tls_secure_cert_match": "hostname",
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": "texthash:{home}/passwords",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_mechanism_filter": "plain",
        }
        return cls(
            chosen | settings,
            files=LOGIN_FILES | {"passwords": f"[localhost]:{to_port} {leaves[0]}:{leaves[1]}\n"},
            users=dict([enters]),
            implicit_tls=True,
            relay_restrictions="permit_sasl_authenticated, reject",
        )

    # --- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._prepare)
        try:
            await self.start()
        except BaseException:
            await asyncio.to_thread(self._tear_down)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._tear_down)

    @property
    def home(self) -> Path:
        """The instance's directory."""
        if self._home is None:
            raise RuntimeError("the instance exists only inside its with block")
        return self._home

    async def start(self) -> None:
        """Start it and wait for its banner. Raises ProgramError with the end of its log."""
        await asyncio.to_thread(self._command, "postfix", "start")
        self._master = read_process(self._master_pid())
        if self._master is None:
            raise ProgramError(f"Postfix did not stay\n{self.log()}")
        ready = smtp_ready(self.port)
        deadline = time.monotonic() + self.start_seconds
        while not await asyncio.to_thread(ready):
            if time.monotonic() > deadline:
                raise ProgramError(f"Postfix did not answer\n{self.log()}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def stop(self) -> None:
        """Stop it; its queue stays for another `start`."""
        if self._master is None:
            return
        family = self._family()
        with contextlib.suppress(ProgramError):
            self._command("postfix", "stop")
        self._end(family)

    def kill(self) -> None:
        """SIGKILL to the master and all it started: a crash."""
        family = self._family()
        for facts in family[:1]:
            # The master first, so that it starts nobody in place of those who die.
            with contextlib.suppress(ProcessLookupError):
                os.kill(facts.pid, signal.SIGKILL)
        self._end(family)

    def _family(self) -> list[ProcessFacts]:
        """The master and what it has running, the master first; empty where it does not run."""
        master = self._master
        return family_of(master.pid) if master is not None and _lives(master) else []

    def _end(self, family: list[ProcessFacts]) -> None:
        """Kill whoever of them still lives, and wait until all are gone."""
        deadline = time.monotonic() + _END_SECONDS
        while living := [facts for facts in family if _lives(facts)]:
            for facts in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(facts.pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise ProgramError(f"Postfix processes {living} do not die")
            time.sleep(LOOK_EVERY_SECONDS)
        self._master = None

    # --- looking at it -------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """The master and everything it has running."""
        return [facts.pid for facts in self._family()]

    def cpu_seconds(self) -> float:
        """CPU of all its processes so far, those that ended included."""
        return cpu_seconds(self.pids())

    def memory_bytes(self) -> int:
        """Memory of all its processes now, shared pages counted once."""
        return memory_bytes(self.pids())

    def queued(self) -> int:
        """Messages in the queue, whatever their state."""
        names = ("maildrop", "incoming", "active", "deferred", "hold")
        return sum(
            entry.is_file() for name in names for entry in (self.home / "queue" / name).rglob("*")
        )

    def flush(self) -> None:
        """Try all that is deferred now."""
        self._command("postqueue", "-f")

    def log(self) -> str:
        """The end of its log."""
        try:
            return (self.home / "log").read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]
        except OSError:
            return ""

    def stored(self) -> list[StoredMessage]:
        """What an upstream without a next hop took, oldest first."""
        found = sorted(
            (self.home / "stored").glob("*.message"), key=lambda path: path.stat().st_mtime_ns
        )
        messages = []
        for path in found:
            sender, *recipients = path.with_suffix(".envelope").read_text().splitlines()
            messages.append(
                StoredMessage(
                    "" if sender == "MAILER-DAEMON" else sender,
                    tuple(recipients),
                    path.read_bytes(),
                )
            )
        return messages

    # --- making it -----------------------------------------------------------------------------

    def _prepare(self) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("Postfix can be started by root only")
        self._home = home = Path(tempfile.mkdtemp(prefix="postfix-"))
        # Its daemons run as users of their own and must be able to walk in.
        home.chmod(0o755)
        self.port = free_port()
        extra = ""
        if self._implicit_tls:
            self.tls_port = free_port()
            extra = (
                f"127.0.0.1:{self.tls_port} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"
            )
        words = {"home": str(home), "hostname": self.hostname}
        for name in ("config", "queue", "data", "stored"):
            (home / name).mkdir()
        # After a crash the queue is repaired by a program that is root no more and wants to log.
        (home / "log").touch()
        (home / "log").chmod(0o666)
        shutil.chown(home / "data", "postfix")
        shutil.chown(home / "stored", "nobody")
        settings = "".join(
            f"{name} = {value.format_map(words)}\n" for name, value in self.settings.items()
        )
        (home / "config/main.cf").write_text(
            MAIN.format_map(
                words
                | {
                    "daemons": _daemon_directory(),
                    "relay_restrictions": self.relay_restrictions,
                }
            )
            + settings
        )
        (home / "config/master.cf").write_text(
            MASTER.format_map(words | {"port": str(self.port), "extra": extra})
        )
        (home / "store").write_text(STORE.format_map(words))
        (home / "store").chmod(0o755)
        for name, text in self.files.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format_map(words))
            path.chmod(0o644)
        for username, password in self.users.items():
            _run(
                ["saslpasswd2", "-p", "-c", "-f", f"{home}/sasldb2", "-u", self.hostname, username],
                stdin=password,
            )
        if self.users:
            shutil.chown(home / "sasldb2", "postfix")
            (home / "sasldb2").chmod(0o600)

    def _tear_down(self) -> None:
        try:
            self.stop()
        finally:
            if self._home is not None:
                shutil.rmtree(self._home, ignore_errors=True)
                self._home = None

    def _command(self, name: str, *arguments: str) -> None:
        _run([name, "-c", str(self.home / "config"), *arguments], log=self.log)

    def _master_pid(self) -> int:
        return int((self.home / "queue/pid/master.pid").read_text())


def _lives(facts: ProcessFacts) -> bool:
    now = read_process(facts.pid)
    return now is not None and now.started_ticks == facts.started_ticks


def _daemon_directory() -> str:
    done = subprocess.run(
        ["postconf", "-d", "-h", "daemon_directory"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "PATH": _ADMIN_PATH},
    )
    return done.stdout.strip()


def _run(command: list[str], *, stdin: str = "", log: object = None) -> None:
    # Not through pipes: daemons inherit them, and reading to their end would wait for ever.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
            env={**os.environ, "PATH": _ADMIN_PATH, "LC_ALL": "C"},
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if done.returncode != 0:
        tail = log() if callable(log) else ""
        raise ProgramError(f"{' '.join(command[:2])} failed ({done.returncode})\n{said}\n{tail}")
