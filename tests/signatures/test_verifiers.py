"""A50: signatures hold, in the eyes of verifiers that know nothing of each other"""

from __future__ import annotations

from functools import cache

import pytest

from pillarbox.message.dkim import Algorithm, new_key, sign
from tests.signatures.kinds import KINDS, UNREADABLE
from tests.signatures.verifying import NEEDED_BY, records_of, verdicts, wrong_kinds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize(
        "verifier",
        [pytest.param(name, marks=pytest.mark.needs(*needs)) for name, needs in NEEDED_BY.items()],
    ),
]

KEYS = [new_key("example.com", "rsa"), new_key("example.com", "ed", Algorithm.ED25519)]
AT_SECONDS = 1_774_000_000
PLAIN = KINDS["body: a plain text"]


@cache
def signed_kinds() -> dict[str, bytes]:
    """As SMTP takes them: with a line end at their end (RFC 5321 §4.1.1.4)."""
    return {
        name: signed if signed.endswith(b"\r\n") else signed + b"\r\n"
        for name, content in KINDS.items()
        for signed in [sign(content, KEYS, AT_SECONDS)]
    }


async def test_a50_every_kind_of_message_passes_with_both_kinds_of_key(verifier: str) -> None:
    assert len(KINDS) >= 60
    wrong = await wrong_kinds(signed_kinds(), records_of(KEYS), "example.com", [verifier])
    unreadable = [name for name, to in UNREADABLE.items() if verifier in to]
    assert wrong.keys() == {f"{verifier}: {name}" for name in unreadable}, wrong


async def test_what_was_changed_behind_us_does_not_pass(verifier: str) -> None:
    signed = sign(PLAIN, KEYS, AT_SECONDS)
    changed = [
        signed.replace(b"how are you", b"how is he"),
        signed.replace(b"Subject: Hello", b"Subject: Hallo"),
        signed.replace(b"From: Ann", b"From: eve@example.net\r\nFrom: Ann"),
        signed.replace(b"\r\n\r\n", b"\r\nFrom: eve@example.net\r\n\r\n", 1),
    ]
    found = await verdicts(verifier, changed, records_of(KEYS), "example.com")
    assert len(found) == len(changed)
    assert all(len(said) == 2 and "pass" not in said for said in found), found
