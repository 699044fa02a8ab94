"""A50: signatures hold, in the eyes of verifiers that know nothing of each other"""

from __future__ import annotations

import re
from functools import cache

import pytest

from pillarbox.message.dkim import Algorithm, new_key, sign
from tests.signatures.kinds import KINDS, UNREADABLE
from tests.signatures.verifying import NEEDED_BY, is_satisfied, records_of, verdicts, wrong_kinds

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


async def test_what_was_changed_behind_us_does_not_pass(verifier: str, size: str) -> None:
    signed = sign(PLAIN, KEYS, AT_SECONDS)
    covered = signed.index(b"From: ")
    letters = [found.start() for found in re.finditer(rb"\w", signed) if found.start() >= covered]
    changed = [
        signed.replace(b"how are you", b"how is he"),
        signed.replace(b"Subject: Hello", b"Subject: Hallo"),
        signed.replace(b"From: Ann", b"From: eve@example.net\r\nFrom: Ann"),
        signed.replace(b"\r\n\r\n", b"\r\nFrom: eve@example.net\r\n\r\n", 1),
        # One bit of a letter or digit, in the name or the value of a field or in the body; never
        # the bit between small letters and capitals, which says nothing in a name.
        *(
            signed[:at] + bytes([signed[at] ^ 2]) + signed[at + 1 :]
            for at in letters[:: 1 if size == "full" else 3]
        ),
    ]
    assert len(changed) > 40 and signed not in changed
    found = await verdicts(verifier, [signed, *changed], records_of(KEYS), "example.com")
    assert is_satisfied(verifier, found[0])
    passed = [
        content
        for content, said in zip(changed, found[1:], strict=True)
        if len(said) != 2 or "pass" in said
    ]
    assert passed == []


async def test_a_signature_by_a_strangers_key_does_not_pass_and_the_other_one_does(
    verifier: str,
) -> None:
    strangers = [new_key(key.domain, key.selector, key.algorithm) for key in KEYS]
    forged = [
        sign(PLAIN, [strangers[0], KEYS[1]], AT_SECONDS),
        sign(PLAIN, [KEYS[0], strangers[1]], AT_SECONDS),
    ]
    found = await verdicts(verifier, forged, records_of(KEYS), "example.com")
    for place, said in enumerate(found):
        assert said[place] != "pass"
        said[place] = "pass"
        assert is_satisfied(verifier, said)
