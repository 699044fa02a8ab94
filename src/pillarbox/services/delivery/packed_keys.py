"""the keys a message names, as they go to the process that renders it"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from pillarbox.message.dkim import SigningKey, read_key
from pillarbox.message.facts import MessageFacts
from pillarbox.message.keys import RenderKeys, key_id
from pillarbox.terms.secret import Secret


class PackedKeys(msgspec.Struct, frozen=True, array_like=True):
    """What `pack_keys` packed."""

    tokens: Mapping[int, bytes] = {}
    signing: tuple[tuple[str, str, str], ...] = ()
    """Domain, selector, and the key in PEM."""

    def unpacked(self) -> RenderKeys:
        """The keys. Raises `UnusableKey`, which no key does that was packed."""
        signing = {
            key_id(domain, selector): _key(domain, selector, pem)
            for domain, selector, pem in self.signing
        }
        return RenderKeys(self.tokens, signing)


def pack_keys(facts: MessageFacts, keys: RenderKeys) -> PackedKeys:
    """Of the keys only those that the message names."""
    number = facts.token_key
    tokens = {number: keys.tokens[number]} if number in keys.tokens else {}
    signing = tuple(
        (key.domain, key.selector, _pem(key))
        for name in facts.key_ids
        if (key := keys.signing.get(name)) is not None
    )
    return PackedKeys(tokens, signing)


@lru_cache(maxsize=64)
def _pem(key: SigningKey) -> str:
    return key.private_text().reveal()


@lru_cache(maxsize=64)
def _key(domain: str, selector: str, pem: str) -> SigningKey:
    return read_key(domain, selector, Secret(pem))
