"""four verifiers that share no code with us nor with each other, each in a process of its own

Three of them know Ed25519 (RFC 8463); Mail::DKIM knows RSA alone up to Debian 12.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pillarbox.message.dkim import SigningKey
from tests.components import MAILAUTH

_HERE = Path(__file__).parent / "verifiers"
_ROOT = Path(__file__).parents[2]
_SECONDS = 120
VERIFIERS: Final[dict[str, list[str]]] = {
    "dkimpy": ["/usr/bin/python3", str(_HERE / "with_dkimpy.py")],
    "mailauth": ["node", str(_HERE / "with_mailauth.js"), str(MAILAUTH)],
    "mail-dkim": ["perl", str(_HERE / "with_mail_dkim.pl")],
    # It asks the DNS of the machine, so it gets a machine of its own, as far as that goes.
    "exim": [
        "unshare", "--net", "--mount", "--",
        sys.executable, "-m", "tests.signatures.verifiers.with_exim",
    ],
}  # fmt: skip
"""By the component that each of them is."""
NEEDED_BY: Final = {
    **{name: (name,) for name in VERIFIERS},
    "mailauth": ("mailauth", "node"),
    "exim": ("exim", "ip", "mounts", "namespaces"),
}
NEEDED: Final = tuple(name for names in NEEDED_BY.values() for name in names)
ONLY_RSA: Final = "unsupported algorithm ed25519-sha256"
"""What Mail::DKIM says of the younger kind; a receiver goes by the other one."""


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
        cwd=_ROOT,
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
    contents: Mapping[str, bytes],
    records: Mapping[str, str],
    domain: str,
    verifiers: Iterable[str] = VERIFIERS,
) -> dict[str, list[str]]:
    """The kinds of messages whose signatures do not hold, by verifier and kind, and what is said."""
    asked = list(verifiers)
    every = await asyncio.gather(
        *(verdicts(each, list(contents.values()), records, domain) for each in asked)
    )
    return {
        f"{verifier}: {name}": said
        for verifier, found in zip(asked, every, strict=True)
        for name, said in zip(contents, found, strict=True)
        if not is_satisfied(verifier, said)
    }
