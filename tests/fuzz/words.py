"""words and lines that mean something in SMTP, or nearly so: dictionary and seeds of the targets"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.dialogue.test_dialogues import FILES, _said

VERBS = tuple(b"EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT".split())
LINE_ENDS = (
    b"\r\n", b"\r", b"\n", b"\n\r", b"\r\r\n", b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n",
    b"\r.\r", b"\r\n.\r", b"\r\n..\r\n", b"\r\n.\0\r\n", b"\0", b"\x0b", b"\x0c", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\r\n ", b"\r\n\r\n", b"\x16\x03\x01",
)  # fmt: skip
COMMANDS = (
    b"EHLO client.example.com\r\n",
    b"HELO x\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AHNob3AAcGEgc3Mgd29yZA==\r\n",
    b"AUTH LOGIN\r\n",
    b"c2hvcA==\r\n",
    b"cGEgc3Mgd29yZA==\r\n",
    b"MAIL FROM:<a@example.com>\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<b@example.net>\r\n",
    b"DATA\r\n",
    b"BDAT 5 LAST\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
)
PARAMETERS = (
    b" SIZE=10", b" BODY=8BITMIME", b" BODY=7BIT", b" BODY=BINARYMIME", b" SMTPUTF8", b" REQUIRETLS", b" RET=FULL",
    b" RET=HDRS", b" ENVID=a+2Bb", b" AUTH=<>", b" AUTH=e+3Dmc2@x", b" NOTIFY=NEVER",
    b" NOTIFY=SUCCESS,FAILURE,DELAY", b" ORCPT=rfc822;b+40example.net",
    b" ORCPT=utf-8;\\x{FC}@example.net", b" BY=120;R",
    b" HOLDFOR=3600", b" LAST",
)  # fmt: skip
ADDRESSES = (
    b"a@example.com", b"postmaster", b'"a b"@example.com', b'"a\\"b"@x.example', b"a@[127.0.0.1]",
    b"a@[IPv6:::1]", b"@relay.example,@b.example:a@example.com", "ü@bücher.example".encode(),
    b"a@xn--bcher-kva.example", b"a@example.com.", b"a@b@c.example", b"a..b@example.com",
    b"x" * 65 + b"@example.com", b"a@" + b"x" * 64 + b".example", b"a%b@c.example", b"a!b@c.example",
)  # fmt: skip


def conversations(most: int = 3000) -> Iterator[tuple[str, bytes]]:
    """All that the client says in each dialogue, and under which kind of port: clear or starttls."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        said = b"".join(_words(text.splitlines()))
        if len(said) <= most:
            yield ("starttls" if "tls=starttls" in text else "clear"), said


def _words(lines: Iterable[str]) -> Iterator[bytes]:
    for line in lines:
        kind, _, text = line.partition(" ")
        if kind in ("C:", "R:"):
            yield _said(kind, text)


def replies_in(folder: Path) -> Iterator[bytes]:
    """The lines that the server says in the dialogues of a folder."""
    for path in sorted(folder.glob("*.smtp")):
        said = re.findall(r"^S: (\d.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        yield "".join(f"{line.replace('~', 'x')}\r\n" for line in said).encode()
