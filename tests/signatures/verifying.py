"""three verifiers that share no code with us nor with each other, each in a process of its own"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pillarbox.message.dkim import SigningKey
from tests.components import MAILAUTH

_HERE = Path(__file__).parent / "verifiers"
_SECONDS = 120
VERIFIERS: Final[dict[str, list[str]]] = {
    "dkimpy": ["/usr/bin/python3", str(_HERE / "with_dkimpy.py")],
    "mailauth": ["node", str(_HERE / "with_mailauth.js"), str(MAILAUTH)],
    "mail-dkim": ["perl", str(_HERE / "with_mail_dkim.pl")],
}
NEEDED: Final = ("node", *VERIFIERS)
ONLY_RSA: Final = "unsupported algorithm ed25519-sha256"
"""What Mail::DKIM says of the younger kind up to Debian 12; a receiver goes by the other one."""


def records_of(keys: Sequence[SigningKey]) -> dict[str, str]:
    """What the DNS has for these keys."""
    return {f"{key.selector}._domainkey.{key.domain}": key.record for key in keys}


async def verdicts(
    verifier: str, contents: Sequence[bytes], records: Mapping[str, str], domain: str
) -> list[list[str]]:
    """Of each message, what the verifier says of each signature of the domain, from the top."""
    asked = {
        "contents": [b64encode(content).decode() for content in contents],
        "records": dict(records),
        "domain": domain,
    }
    process = await asyncio.create_subprocess_exec(
        *VERIFIERS[verifier],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            out, words = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, words.decode()
    found: list[list[str]] = json.loads(out)
    return found


def is_satisfied(verifier: str, said: Sequence[str]) -> bool:
    """Whether signatures with an RSA key and an Ed25519 key, in this order, hold."""
    if said == ["pass", "pass"]:
        return True
    return verifier == "mail-dkim" and said[:1] == ["pass"] and ONLY_RSA in "".join(said[1:])


async def wrong_kinds(
    contents: Mapping[str, bytes], records: Mapping[str, str], domain: str
) -> dict[str, list[str]]:
    """The kinds of messages whose signatures do not hold, by verifier and kind, and what is said."""
    every = await asyncio.gather(
        *(verdicts(each, list(contents.values()), records, domain) for each in VERIFIERS)
    )
    return {
        f"{verifier}: {name}": said
        for verifier, found in zip(VERIFIERS, every, strict=True)
        for name, said in zip(contents, found, strict=True)
        if not is_satisfied(verifier, said)
    }
