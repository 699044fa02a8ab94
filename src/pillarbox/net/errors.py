"""what can go wrong while waiting for somebody else: ports, TLS files, servers that break off"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from pillarbox.protocol.reply import Reply
from pillarbox.terms.errors import PillarboxError, Trouble

_CODES: Final = {"starttls": "upstream_tls_failed", "auth": "upstream_auth_failed"}


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine, as far as we may see it."""

    name: str
    pid: int


class PortInUse(PillarboxError):
    """Another process already listens on this port."""

    code = "port_in_use"

    def __init__(self, host: str, port: int, holder: Process | None = None) -> None:
        """`holder` is the process that has the port, where the kernel lets us see it."""
        who = f'"{holder.name}" (pid {holder.pid})' if holder else "another process"
        super().__init__(
            f"port {port} on {host} is used by {who}",
            fix="stop that program, or choose another port",
        )
        self.host = host
        self.port = port
        self.holder = holder


class PortNotPermitted(PillarboxError):
    """This user may not listen on this port."""

    code = "port_not_permitted"

    def __init__(self, host: str, port: int) -> None:
        """Ports under 1024 need a privilege."""
        super().__init__(
            f"port {port} on {host} is not allowed for this user",
            detail=f"ports under 1024 need a privilege, and this runs as uid {os.geteuid()}",
            fix="let systemd open it, as docs/ports.md shows, or choose ports above 1023:\n"
            "pillarbox serve --smtp-port 2525 --smtps-port 2465 --bounce-port 2025",
        )
        self.host = host
        self.port = port


class CannotListen(PillarboxError):
    """This address cannot be listened on."""

    code = "config_invalid"


class TlsFilesUnusable(PillarboxError):
    """A certificate or key file cannot be used."""

    code = "config_invalid"


class HttpUnreachable(Trouble):
    """Nobody answers at this address."""

    code = "server_not_running"


class WorkerLost(Trouble):
    """A child process did not survive a job; the sentence says why, as one about the job.

    Unless it was `begun`, the child was at work on another one.
    """

    def __init__(self, sentence: str, *, begun: bool = True) -> None:
        """Why."""
        super().__init__(sentence)
        self.begun = begun


class Broken(Trouble):
    """The conversation with a server ended before its time.

    `stage` is one of connect, banner, ehlo, starttls, auth, mail, rcpt, data, verdict; TLS from
    the start counts as starttls. `words` are for a person and hold no secret. `reply` is what the
    server said where it said something. `after_dot` means that the whole content may have
    reached the server: the mail may have been delivered. `reused` means that the connection had
    served before and was lost before any content was sent: trying again on a fresh one costs
    nothing. `dialogue` is what was said until then: milliseconds since the attempt began, line.
    `tls_result` is what a failure of TLS is called in a report (RFC 8460 §4.3), and `address` where
    the connection led to, in so far as there was one.
    """

    code = "upstream_unreachable"

    def __init__(
        self,
        stage: str,
        words: str,
        reply: Reply | None = None,
        *,
        after_dot: bool = False,
        reused: bool = False,
        dialogue: tuple[tuple[int, str], ...] = (),
        tls_result: str = "",
    ) -> None:
        """See the class."""
        super().__init__(words, code=_CODES.get(stage))
        self.stage = stage
        self.words = words
        self.reply = reply
        self.after_dot = after_dot
        self.reused = reused
        self.dialogue = dialogue
        self.tls_result = tls_result
        self.address = ""

    @property
    def misbehaved(self) -> bool:
        """Whether it was we who hung up, because what the server said was no SMTP reply."""
        return self.error_code == "upstream_misbehaved"


class LoginFailed(Broken):
    """There was no login: no access token could be had, or the server refused one just made.

    `words` end a sentence that begins with the server's name. `lasting` says that it will be the
    same until a person has changed something.
    """

    def __init__(self, words: str, reply: Reply | None = None, *, lasting: bool) -> None:
        """See the class."""
        super().__init__("auth", words, reply)
        self.lasting = lasting
