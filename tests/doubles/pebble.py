"""an authority that speaks ACME: pebble, on loopback, trusted by nobody but the test"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.components import path_of
from tests.doubles.certificates import issue_certificate
from tests.doubles.dns_server import dns_double
from tests.doubles.ports import free_port
from tests.doubles.process import Program


@dataclass(frozen=True, slots=True)
class Authority:
    """Where it is asked, and how it is trusted."""

    directory: str
    ca_file: Path
    """Of its own web server."""
    http_port: int
    """Where it looks for answers, in place of 80."""
    management: str
    context: ssl.SSLContext

    def roots(self) -> str:
        """What a client has to trust that meets a certificate it made, as PEM."""
        with urlopen(f"{self.management}/roots/0", context=self.context, timeout=5) as answer:
            return str(answer.read().decode())


@asynccontextmanager
async def pebble(folder: Path, *hosts: str) -> AsyncIterator[Authority]:
    """Runs while this is entered; every one of `hosts` is this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    files = issue_certificate(folder / "web", "localhost", "127.0.0.1")
    port, management, http_port = free_port(), free_port(), free_port()
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(files.certificate),
        "privateKey": str(files.key),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    authority = Authority(
        f"https://127.0.0.1:{port}/dir",
        files.ca,
        http_port,
        f"https://127.0.0.1:{management}",
        files.client_context(),
    )

    def ready() -> bool:
        try:
            with urlopen(authority.directory, context=authority.context, timeout=1):
                return True
        except OSError:
            return False

    async with dns_double() as names:
        for host in hosts:
            names.has(host, "A", "127.0.0.1")
        program = Program(
            [path_of("pebble") or "pebble", "-config", str(folder / "pebble.json"),
             "-dnsserver", f"127.0.0.1:{names.port}"],
            output=folder / "pebble.log",
            ready=ready,
            # It looks at once, and takes every nonce: what is tested is not its chance.
            env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"},
            cwd=folder,
        )  # fmt: skip
        async with program:
            yield authority
