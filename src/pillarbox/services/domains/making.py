"""domains and keys as they begin: challenges, selectors, private halves"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final

from pillarbox.message.dkim import Algorithm, SigningKey, new_key, read_key
from pillarbox.policy.dkim_key import DkimKey
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.clock import from_ms
from pillarbox.terms.ids import ObjectId, new_object_id
from pillarbox.terms.secret import Secret

ALGORITHMS: Final = (Algorithm.RSA, Algorithm.ED25519)
"""Both, since many receivers cannot read the younger one yet (RFC 8463 §5)."""
_CHALLENGE_BYTES: Final = 16
_DRAWN_BYTES: Final = 2

MadeKey = tuple[DkimKey, Secret]
"""A key with its private half in PEM."""


def new_domain(name: str, account: ObjectId, now_ms: int) -> SendingDomain:
    """A domain that is still to be proved; the challenge is good for this account alone."""
    return SendingDomain(
        new_object_id(), account, name, secrets.token_hex(_CHALLENGE_BYTES), created_at=now_ms
    )


async def new_keys(
    domain: str,
    now_ms: int,
    algorithms: Sequence[Algorithm] = ALGORITHMS,
    *,
    selector: str = "",
) -> list[MadeKey]:
    """Fresh keys whose records are still to be published; `selector` names the only one of them."""
    made = []
    for algorithm in algorithms:
        name = selector or new_selector(algorithm, now_ms)
        # To find two primes takes long enough for others to notice.
        key = await asyncio.to_thread(new_key, domain, name, algorithm)
        made.append((_described(key, now_ms), key.private_text()))
    return made


async def imported_key(domain: str, selector: str, private: Secret, now_ms: int) -> MadeKey:
    """A key that was used elsewhere before. Raises `UnusableKey`."""
    key = await asyncio.to_thread(read_key, domain, selector, private)
    return _described(key, now_ms, imported=True), key.private_text()


def new_selector(algorithm: Algorithm, now_ms: int) -> str:
    """``pb2611r-3f9a``: month, kind, and what was drawn, so that none is ever used twice."""
    month = from_ms(now_ms).strftime("%y%m")
    return f"pb{month}{algorithm.value[0]}-{secrets.token_hex(_DRAWN_BYTES)}"


def _described(key: SigningKey, now_ms: int, *, imported: bool = False) -> DkimKey:
    return DkimKey(
        key.selector, key.algorithm, key.record, imported=imported, created_at=now_ms
    )  # fmt: skip
