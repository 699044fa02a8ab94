"""DKIM signatures (RFC 6376, RFC 8463): what is signed, and signing it

The last thing that happens to a message before it leaves. Same content, keys and instant, same
signature: RSA by PKCS #1 v1.5 and Ed25519 draw nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from pillarbox.message.canonical import relaxed_body, relaxed_field
from pillarbox.message.errors import UnusableKey
from pillarbox.message.header import Field, HeaderBlock, split_content
from pillarbox.terms.secret import Secret

RSA_BITS: Final = 2048
_LEAST_RSA_BITS: Final = 1024  # RFC 8301 §3.2
_MOST_RSA_BITS: Final = 4096  # the same: what every verifier can check
_PUBLIC_EXPONENT: Final = 65537
_COLUMNS: Final = 72

_SIGNED: Final = (
    b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id",
    b"in-reply-to", b"references", b"mime-version", b"content-type", b"content-transfer-encoding",
    b"content-id", b"content-description", b"resent-from", b"resent-sender", b"resent-to",
    b"resent-cc", b"resent-date", b"resent-message-id", b"list-id", b"list-help",
    b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner",
    b"list-archive", b"feedback-id", b"auto-submitted",
)  # fmt: skip
"""Fields that tell readers something (§5.4.1); trace fields change on the way and are not here."""
_OVERSIGNED: Final = frozenset({b"from"})
"""Named once more than they occur, so that none can be added (§5.4.2, §8.15)."""


class Algorithm(StrEnum):
    """How is signed; both over SHA-256."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the name under which its public half is found in the DNS."""

    domain: str
    """In A-labels."""
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        """Told from the kind of key."""
        return Algorithm.ED25519 if isinstance(self.key, Ed25519PrivateKey) else Algorithm.RSA

    @property
    def record(self) -> str:
        """The TXT record at ``SELECTOR._domainkey.DOMAIN`` (§3.6.1, RFC 8463 §4)."""
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
        der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"

    def private_text(self) -> Secret:
        """The key as PEM (PKCS #8), to be sealed."""
        return Secret(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode("ascii")
        )


def new_key(domain: str, selector: str, algorithm: Algorithm = Algorithm.RSA) -> SigningKey:
    """A key nobody has seen before."""
    if algorithm is Algorithm.ED25519:
        return SigningKey(domain, selector, Ed25519PrivateKey.generate())
    return SigningKey(domain, selector, generate_private_key(_PUBLIC_EXPONENT, RSA_BITS))


def read_key(domain: str, selector: str, private: Secret, *, is_ours: bool = False) -> SigningKey:
    """A key from PEM. Raises `UnusableKey`, without a word of what the text holds.

    Whether the numbers of an RSA key fit together takes some ten milliseconds to find out, so it is
    not asked of a key that `is_ours`: one that was looked at before and rested sealed since.
    """
    try:
        key = serialization.load_pem_private_key(
            private.reveal().encode("utf-8"), None, unsafe_skip_rsa_key_validation=is_ours
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey("it is not a private key in PEM without a passphrase") from error
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise UnusableKey(
                f"an RSA key of {key.key_size} bits is trusted by nobody; 2048 are usual"
            )
        if key.key_size > _MOST_RSA_BITS:
            raise UnusableKey(
                f"an RSA key of {key.key_size} bits is too long for many receivers; 2048 are usual"
            )
        return SigningKey(domain, selector, key)
    if isinstance(key, Ed25519PrivateKey):
        return SigningKey(domain, selector, key)
    raise UnusableKey("it is neither an RSA nor an Ed25519 key")


def sign(content: bytes, keys: Sequence[SigningKey], at_seconds: int) -> bytes:
    """The content with a DKIM-Signature of each key on top, the first key's uppermost.

    Header and body relaxed, the whole body covered. Content without a From field is given back as
    it is: such a signature would be none (§5.4).
    """
    if not keys:
        return content
    header, body = split_content(content)
    fields = HeaderBlock.parse(header).fields
    names = signed_names(fields)
    if b"from" not in names:
        return content
    covered = b"".join(map(relaxed_field, _covered(fields, names)))
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    made = [_signature(key, names, covered, body_hash, at_seconds) for key in keys]
    return b"".join((*made, content))


def signed_names(fields: Sequence[Field]) -> list[bytes]:
    """What ``h=`` lists: each field that is signed as often as it occurs, some once more."""
    counts = Counter(field.name.lower() for field in fields)
    names: list[bytes] = []
    for name in _SIGNED:
        if times := counts[name]:
            names += [name] * (times + (name in _OVERSIGNED))
    return names


def _covered(fields: Sequence[Field], names: Sequence[bytes]) -> list[bytes]:
    """The fields that ``h=`` means: of several of one name the lowest first (§5.4.2)."""
    waiting: dict[bytes, list[bytes]] = {}
    for field in fields:
        waiting.setdefault(field.name.lower(), []).append(field.raw)
    return [waiting[name].pop() for name in names if waiting.get(name)]


def _signature(
    key: SigningKey, names: Sequence[bytes], covered: bytes, body_hash: bytes, at_seconds: int
) -> bytes:
    value = b"".join(
        (
            b" v=1; a=", key.algorithm.encode(), b"; c=relaxed/relaxed;\r\n d=",
            key.domain.encode("ascii"), b"; s=", key.selector.encode("ascii"),
            b"; t=%d;\r\n h=" % at_seconds, _folded(b":".join(names), b":"),
            b";\r\n bh=", body_hash, b";\r\n b=",
        )
    )  # fmt: skip
    field = b"DKIM-Signature:" + value
    signed = covered + relaxed_field(field)[:-2]
    if isinstance(key.key, Ed25519PrivateKey):
        made = key.key.sign(hashlib.sha256(signed).digest())  # RFC 8463 §3
    else:
        made = key.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    text = base64.b64encode(made)
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    return field + b"\r\n ".join(lines) + b"\r\n"


def _folded(text: bytes, behind: bytes) -> bytes:
    """Broken behind some of the marks, so that no line is long."""
    lines: list[bytes] = []
    line = b""
    for word in text.split(behind):
        if line and len(line) + len(word) + 2 > _COLUMNS:
            lines.append(line)
            line = b""
        line += word + behind
    lines.append(line.removesuffix(behind))
    return b"\r\n  ".join(lines)
