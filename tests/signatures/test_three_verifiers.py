"""A50: signatures hold, in the eyes of three verifiers that know nothing of each other"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.message.dkim import Algorithm, new_key, sign
from tests.signatures.kinds import KINDS, UNREADABLE
from tests.signatures.verifying import NEEDED, VERIFIERS, records_of, verdicts, wrong_kinds

pytestmark = [pytest.mark.needs(*NEEDED), pytest.mark.slow]

KEYS = [new_key("example.com", "rsa"), new_key("example.com", "ed", Algorithm.ED25519)]
AT_SECONDS = 1_774_000_000


async def test_a50_every_kind_of_message_passes_with_both_kinds_of_key() -> None:
    assert len(KINDS) >= 60
    # Whatever takes a message by SMTP sees a line end at its end (RFC 5321 §4.1.1.4).
    signed = {
        name: signed if signed.endswith(b"\r\n") else signed + b"\r\n"
        for name, content in KINDS.items()
        for signed in [sign(content, KEYS, AT_SECONDS)]
    }
    wrong = await wrong_kinds(signed, records_of(KEYS), "example.com")
    assert wrong.keys() == {f"dkimpy: {name}" for name in UNREADABLE}, wrong


async def test_what_was_changed_behind_us_does_not_pass() -> None:
    signed = sign(KINDS["body: a plain text"], KEYS, AT_SECONDS)
    changed = [
        signed.replace(b"how are you", b"how is he"),
        signed.replace(b"Subject: Hello", b"Subject: Hallo"),
        signed.replace(b"From: Ann", b"From: eve@example.net\r\nFrom: Ann"),
        signed.replace(b"\r\n\r\n", b"\r\nFrom: eve@example.net\r\n\r\n", 1),
    ]
    for found in await asyncio.gather(
        *(verdicts(each, changed, records_of(KEYS), "example.com") for each in VERIFIERS)
    ):
        assert len(found) == len(changed)
        assert all(len(said) == 2 and "pass" not in said for said in found), found
