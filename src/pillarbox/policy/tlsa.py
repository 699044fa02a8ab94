"""TLSA records: which can be used for mail, and whether they match a certificate (RFC 6698)"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

MAX_RECORDS: Final = 32
"""Of one host; what a name server lists beyond them is not looked at."""
_MAX_BYTES: Final = 16_384

_DIGEST_BYTES: Final = {1: 32, 2: 64}


class Usage(IntEnum):
    """What a record says of the certificate it matches (RFC 7218 §2.1)."""

    TRUST_ANCHOR = 2
    END_ENTITY = 3


class Tlsa(NamedTuple):
    """One TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        """Whether it means something between mail servers: usages 0 and 1 lean on authorities, which
        a sender of mail cannot know (RFC 7672 §3.1.3).
        """
        if self.usage not in (Usage.TRUST_ANCHOR, Usage.END_ENTITY) or self.selector not in (0, 1):
            return False
        if self.matching == 0:
            return 0 < len(self.data) <= _MAX_BYTES
        return len(self.data) == _DIGEST_BYTES.get(self.matching, -1)

    def matches(self, certificate: bytes, public_key: bytes) -> bool:
        """Whether it speaks of a certificate, given in DER beside its SubjectPublicKeyInfo."""
        chosen = public_key if self.selector == 1 else certificate
        if not chosen:
            return False
        if self.matching == 1:
            chosen = hashlib.sha256(chosen).digest()
        elif self.matching == 2:
            chosen = hashlib.sha512(chosen).digest()
        return chosen == self.data

    @property
    def text(self) -> str:
        """As a zone file has it."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def usable_records(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that can be used, each once, in an order that does not depend on the name server."""
    return tuple(sorted({record for record in records if record.usable}))[:MAX_RECORDS]
