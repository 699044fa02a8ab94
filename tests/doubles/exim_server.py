"""a private Exim that takes mail by STARTTLS or TLS from whoever logs in, and passes it on

As `exim` has it: Debian's binary, unpacked, in a mount namespace, so it needs root and leave to
mount. What it takes goes to a sink of ours, in clear::

    async with EximServer(certificate, sink.port, {"relay": "pa ss"}) as exim:
        ...                                     # exim.port (STARTTLS), exim.tls_port
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.doubles.certificates import CertificateFiles
from tests.doubles.exim import EXIM_UID, command_in, new_home
from tests.doubles.ports import free_port
from tests.doubles.process import Program, smtp_ready

_CONFIGURATION: Final = """\
exim_path = {home}/exim
primary_hostname = exim.example.test
spool_directory = {home}/spool
log_file_path = {home}/spool/%slog
pid_file_path = {home}/spool/pid
trusted_users = root
keep_environment =
add_environment =
host_lookup =
rfc1413_hosts =
local_interfaces = 127.0.0.1
disable_ipv6 = true
daemon_smtp_ports = {port} : {tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = {home}/server.pem
tls_privatekey = {home}/server.key
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
message_size_limit = 100M
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = only_logged_in
acl_smtp_data = accept
queue_run_in_order = true
received_header_text = Received: by $primary_hostname with local id $message_exim_id; $tod_full

begin acl

only_logged_in:
  accept authenticated = *
  deny message = relay not permitted

begin routers

everybody:
  driver = manualroute
  address_data = {sink_port}
  route_list = * 127.0.0.1 byname
  self = send
  transport = onward

begin transports

onward:
  driver = smtp
  port = {sink_port}
  hosts_avoid_tls = *
  hosts_try_dane =
  dnssec_request_domains =
  max_rcpt = 0
  connect_timeout = 20s

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{{home}/logins}}}}}}}}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if eq{{$auth2}}{{${{lookup{{$auth1}}lsearch{{{home}/logins}}}}}}}}
  server_set_id = $auth1
"""


class EximServer:
    """One daemon; an async context manager."""

    def __init__(
        self, certificate: CertificateFiles, sink_port: int, logins: Mapping[str, str]
    ) -> None:
        self._certificate = certificate
        self._sink_port = sink_port
        self._logins = dict(logins)
        self._home: Path | None = None
        self._program: Program | None = None
        self.port = 0
        self.tls_port = 0

    async def __aenter__(self) -> Self:
        self._home = home = new_home()
        self.port, self.tls_port = free_port(), free_port()
        for source, name in (
            (self._certificate.certificate, "server.pem"),
            (self._certificate.key, "server.key"),
        ):
            shutil.copyfile(source, home / name)
            os.chown(home / name, EXIM_UID, EXIM_UID)
            (home / name).chmod(0o600)
        (home / "logins").write_text("".join(f"{u}: {p}\n" for u, p in self._logins.items()))
        (home / "exim.conf").write_text(
            _CONFIGURATION.format(
                home=home, port=self.port, tls_port=self.tls_port, sink_port=self._sink_port
            )
        )
        self._program = Program(
            [*command_in(home), "-bdf", "-q1s"],
            output=home / "output",
            ready=smtp_ready(self.port),
            env={"LC_ALL": "C"},
        )
        try:
            await self._program.start()
        except BaseException:
            self._remove()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._program is not None:
            await asyncio.to_thread(self._program.stop)
        self._remove()

    def _remove(self) -> None:
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def log(self) -> str:
        """What it wrote down."""
        if self._home is None:
            return ""
        parts = [self._home / "output", self._home / "spool/mainlog", self._home / "spool/paniclog"]
        return "\n".join(path.read_text(errors="replace") for path in parts if path.exists())
