"""a private Exim that passes on what it is given on standard input

Unlike `Postfix` it runs no daemon: a call takes a message and delivers it before it returns. It is
Debian's binary, unpacked and not installed (installing it would remove Postfix), with configuration,
spool and log below a temporary directory::

    with Exim(to_port, ca_file, username="u", password="p") as exim:
        await exim.send("ann@example.com", ["bob@example.org"], content)

Debian's Exim does not start where there is no user Debian-exim. Rather than make one, each call
sees files of users and groups that have one, in a mount namespace of its own. So it needs root and
leave to mount.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.components import exim_path
from tests.doubles.process import ProgramError

ENDS_SECONDS: Final = 50.0
_LOG_TAIL_CHARACTERS: Final = 4000

_REFUSED: Final = " ** "
_NOTES: Final = "share/doc/exim4-daemon-light/changelog.Debian.gz"
_USER: Final = "Debian-exim"
EXIM_UID: Final = 65533
_WITH_THAT_USER: Final = """\
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group || exit 71
shift
exec "$@"
"""

_CONFIGURATION: Final = """\
exim_path = {home}/exim
primary_hostname = exim.example.test
spool_directory = {home}/spool
log_file_path = {home}/spool/%slog
trusted_users = root
keep_environment =
add_environment =
host_lookup =
rfc1413_hosts =
local_interfaces = 127.0.0.1
disable_ipv6 = true
message_size_limit = 100M
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
received_header_text = Received: by $primary_hostname with local id $message_exim_id; $tod_full

begin routers

everybody:
  driver = manualroute
  address_data = {port}
  route_list = * 127.0.0.1 byname
  self = send
  transport = onward

begin transports

onward:
  driver = smtp
  port = {port}
  protocol = {protocol}
  hosts_require_tls = *
  hosts_require_auth = *
  tls_sni = {server_name}
  tls_verify_certificates = {home}/ca.pem
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
  hosts_try_dane =
  dnssec_request_domains =
  max_rcpt = 0
  connect_timeout = 20s

begin authenticators

login_by_{mechanism}:
  driver = plaintext
  public_name = {public_name}
  client_send = {client_send}
"""


class Exim:
    """One configuration, for one server to pass mail on to; a context manager."""

    def __init__(
        self,
        to_port: int,
        ca_file: Path,
        *,
        username: str,
        password: str,
        implicit_tls: bool = False,
        mechanism: str = "PLAIN",
        server_name: str = "localhost",
    ) -> None:
        """TLS and the login are required, and the certificate must name `server_name`."""
        words = [_quoted(word) for word in (username, password)]
        self._ca_file = ca_file
        self._words = {
            "port": to_port,
            "protocol": "smtps" if implicit_tls else "smtp",
            "server_name": server_name,
            "mechanism": mechanism.lower(),
            "public_name": mechanism,
            "client_send": "^" + "^".join(words)
            if mechanism == "PLAIN"
            else f": {' : '.join(words)}",
        }
        self._home: Path | None = None

    def __enter__(self) -> Self:
        self._home = home = new_home()
        shutil.copyfile(self._ca_file, home / "ca.pem")
        (home / "exim.conf").write_text(_CONFIGURATION.format(home=home, **self._words))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self._home = None

    @property
    def home(self) -> Path:
        """The instance's directory."""
        if self._home is None:
            raise RuntimeError("the instance exists only inside its with block")
        return self._home

    async def send(self, return_path: str, recipients: Sequence[str], content: bytes) -> None:
        """Take a message and pass it on. Raises ProgramError where it was not taken by the next.

        `content` with CRLF line ends and without stuffed dots.
        """
        said = await self._call(
            "-odf", "-oi", "-f", return_path, *recipients, stdin=content.replace(b"\r\n", b"\n")
        )
        if self._queued() or _REFUSED in self.log():
            raise ProgramError(f"Exim could not pass it on\n{said}\n{self.log()}")

    def log(self) -> str:
        """The end of its log."""
        try:
            path = self.home / "spool/mainlog"
            return path.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]
        except OSError:
            return ""

    def _queued(self) -> list[Path]:
        return list((self.home / "spool/input").glob("*-H"))

    async def _call(self, *arguments: str, stdin: bytes) -> str:
        process = await asyncio.create_subprocess_exec(
            *command_in(self.home), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"},
        )  # fmt: skip
        try:
            out, _ = await asyncio.wait_for(process.communicate(stdin), ENDS_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ProgramError(f"Exim did not end\n{self.log()}") from None
        said = out.decode(errors="replace")
        if process.returncode != 0:
            raise ProgramError(f"Exim ended with {process.returncode}\n{said}\n{self.log()}")
        return said


def new_home() -> Path:
    """A directory of its own, with the program, a spool and a user; exim.conf is still to come."""
    program = exim_path()
    if program is None:
        raise ProgramError("there is no Exim here")
    home = Path(tempfile.mkdtemp(prefix="exim-"))
    # It delivers as a user of its own, who must be able to walk in.
    home.chmod(0o755)
    (home / "spool").mkdir()
    os.chown(home / "spool", EXIM_UID, EXIM_UID)
    shutil.copy(program, home / "exim")
    for name, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/false"), ("group", "{0}:x:{1}:")):
        known = Path("/etc", name).read_text().rstrip()
        (home / name).write_text(f"{known}\n{line.format(_USER, EXIM_UID)}\n")
    return home


def command_in(home: Path) -> list[str]:
    """How it is called there; options may follow."""
    return [
        "unshare", "--mount", "sh", "-c", _WITH_THAT_USER, "exim", str(home),
        str(home / "exim"), "-C", str(home / "exim.conf"),
    ]  # fmt: skip


def exim_version() -> str:
    """Of Debian's package; empty where that does not say."""
    notes = Path(exim_path() or "/").parent.parent / _NOTES
    if not notes.exists():
        return ""
    with gzip.open(notes, "rt", encoding="utf-8") as lines:
        return next(lines).partition("(")[2].partition(")")[0]


def _quoted(word: str) -> str:
    """As `client_send` wants it: a list with colons, circumflexes for NUL, and expansion."""
    return word.replace("^", "^^").replace(":", "::").replace("$", "\\$")
