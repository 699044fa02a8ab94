"""verifies signatures with Exim: one JSON document in, one out; in between it is asked by SMTP

Exim finds keys by the system's resolver alone. So this runs in namespaces of its own for network
and mounts, where it is the only name server and knows the records from the document. Each message
comes to the end of its content and is refused there, with the verdicts as the reason: nothing is
stored or passed on.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.doubles.dns_server import HOST, DnsDouble, dns_double
from tests.doubles.exim import command_in, new_home

_SECONDS: Final = 45
_DNS_PORT: Final = 53
_VERDICTS: Final = "550 verdicts: "
# Exim looks at the lowest signature first; the verdicts are told from the top.
_CONFIGURATION: Final = """\
exim_path = {home}/exim
primary_hostname = exim.example.test
spool_directory = {home}/spool
log_file_path = {home}/spool/%slog
keep_environment =
add_environment =
host_lookup =
smtp_accept_max_per_connection = 0
dkim_verify_signers = {domain}
acl_smtp_rcpt = accept
acl_smtp_dkim = note_the_verdict
acl_smtp_data = refuse_with_the_verdicts

begin acl

note_the_verdict:
  accept set acl_m_found = $dkim_verify_status $dkim_verify_reason|$acl_m_found

refuse_with_the_verdicts:
  deny message = verdicts: $acl_m_found
"""


async def _reply(lines: StreamReader) -> str:
    """The last line of what is said next."""
    while re.match(r"\d{3}-", line := (await lines.readline()).decode()):
        pass
    return line.rstrip()


async def _say(line: bytes, code: str, to: StreamWriter, lines: StreamReader) -> None:
    to.write(line + b"\r\n")
    await to.drain()
    reply = await _reply(lines)
    assert reply.startswith(code), f"{line!r} was answered {reply!r}"


async def _verdicts(home: Path, contents: Sequence[bytes]) -> list[list[str]]:
    exim = await asyncio.create_subprocess_exec(*command_in(home), "-bs", stdin=PIPE, stdout=PIPE)
    to, lines = exim.stdin, exim.stdout
    assert to is not None and lines is not None
    greeting = await _reply(lines)
    assert greeting.startswith("220"), greeting
    await _say(b"EHLO client.example.test", "250", to, lines)
    verdicts = []
    for content in contents:
        assert content.endswith(b"\r\n"), "a message without a line end does not come by SMTP"
        await _say(b"MAIL FROM:<ann@example.com> BODY=8BITMIME", "250", to, lines)
        await _say(b"RCPT TO:<bob@example.org>", "250", to, lines)
        await _say(b"DATA", "354", to, lines)
        to.write(re.sub(rb"(?m)^\.", b"..", content))  # RFC 5321 §4.5.2
        to.write(b".\r\n")
        await to.drain()
        reply = await _reply(lines)
        assert reply.startswith(_VERDICTS), reply
        found = reply.removeprefix(_VERDICTS).split("|")
        verdicts.append([each.strip() for each in found if each.strip()])
    await _say(b"QUIT", "221", to, lines)
    await exim.wait()
    return verdicts


async def _ask(home: Path, asked: dict) -> list[list[str]]:
    (home / "exim.conf").write_text(_CONFIGURATION.format(home=home, domain=asked["domain"]))
    (home / "resolv.conf").write_text(f"nameserver {HOST}\n")
    subprocess.run(["mount", "--bind", home / "resolv.conf", "/etc/resolv.conf"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    contents = [b64decode(content) for content in asked["contents"]]
    async with asyncio.timeout(_SECONDS), dns_double(DnsDouble(port=_DNS_PORT)) as names:
        for name, text in asked["records"].items():
            # RFC 6376 §3.6.2.2: a record comes in pieces, none longer than 255 octets.
            pieces = re.findall(r".{1,250}", text)
            names.has(name, "TXT", " ".join(f'"{piece}"' for piece in pieces))
        return await _verdicts(home, contents)


def main() -> None:
    asked = json.load(sys.stdin)
    home = new_home()
    try:
        verdicts = asyncio.run(_ask(home, asked))
    finally:
        shutil.rmtree(home)
    json.dump(verdicts, sys.stdout)


main()
