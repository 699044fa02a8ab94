"""content + facts + hop + keys -> the bytes that leave; pure, deterministic"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pillarbox.message.default_sender import DefaultSender, with_default_sender
from pillarbox.message.dkim import SigningKey, sign
from pillarbox.message.downgrade import downgrade
from pillarbox.message.errors import CannotRender, TooComplex
from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Changes, Styles, changes_of
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.keys import NO_KEYS, RenderKeys, key_id
from pillarbox.message.markup import spliced
from pillarbox.message.parts import read_parts
from pillarbox.message.tokens import Token, TokenKind, mint
from pillarbox.message.unsubscribe import TAIL, unsubscribe_edit
from pillarbox.message.wishes import asks_for_features, is_dressed, wishes_of
from pillarbox.terms.ids import DeliveryId, message_of, message_time_ms

RENDERER_VERSION: Final = 4
"""Grows with every change after which the same input gives other bytes; attempts store it."""
_SIGNATURE: Final = b"dkim-signature"
NOBODY: Final = DeliveryId(0)
"""Where there is no delivery: a message that is only looked at."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What the connection offers that decides what may be sent over it."""

    eight_bit: bool = True
    """8BITMIME (RFC 6152)."""
    smtputf8: bool = False
    """SMTPUTF8 (RFC 6531)."""
    dsn: bool = False
    """DSN (RFC 3461): who asked for notices is passed on, and whoever takes it on writes them."""
    requires_tls: bool = False
    """REQUIRETLS (RFC 8689), of a server that has proved who it is."""
    sender: DefaultSender | None = None
    """Who stands in here for the author, the return path, or both."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a message became, and what there is to say about it."""

    content: bytes
    """What leaves; the same object that came where nothing had to be done."""
    changes: Changes = field(default_factory=Changes)
    """Its links and images, what could not be done, and the images that stay behind."""
    signed_by: tuple[str, ...] = ()
    """The keys that signed it, as ``domain/selector``."""
    notes: tuple[str, ...] = ()
    """Sentences about what else had to be done."""


def render(
    content: bytes,
    facts: MessageFacts,
    hop: Hop,
    keys: RenderKeys = NO_KEYS,
    delivery: DeliveryId = NOBODY,
) -> bytes:
    """The message as it goes over this hop; the same object where nothing has to be done.

    Raises what `rendering` does.
    """
    if hop.sender is None and not is_dressed(facts):
        return _whole(content, _converted(content, facts, hop, facts.header_bytes))
    return rendering(content, facts, hop, keys, delivery).content


def rendering(
    content: bytes,
    facts: MessageFacts,
    hop: Hop,
    keys: RenderKeys = NO_KEYS,
    delivery: DeliveryId = NOBODY,
    *,
    styles: Styles | None = None,
    left: str = "",
) -> Rendering:
    """The message as it goes over this hop to one recipient, and what was done to it.

    Who stands in for the author comes first, then the features, the conversion for the hop, and
    signatures last. `delivery` says to whom; that of the message as a whole (ordinal 0) where it
    makes no difference. `styles` are what `features.styles_of` gives for this content, where that is
    known. With a reason for which it is `left` as it came, no feature is applied.

    What the content holds decides, not what was declared: a message in ASCII goes anywhere, though
    some programs declare SMTPUTF8 for all they send. A header outside ASCII that was not declared
    goes, as everywhere, to any hop that takes eight bits.

    Raises `CannotRender`: 5.6.7 where a header, of the message or of a part, needs SMTPUTF8 and the
    hop lacks it, 5.6.3 where 8-bit content cannot be converted. Raises `InvalidHeaderValue` for a
    sender that no header can name.
    """
    came = content
    if hop.sender is not None and hop.sender.for_author:
        content = with_default_sender(content, hop.sender)
    changes = Changes()
    if left:
        changes.remarks.append(left)
    elif asks_for_features(facts):
        changes = _featured(content, facts, keys, delivery, styles)
        content = spliced(content, changes.edits)
    header_bytes = facts.header_bytes if content is came else 0
    content = _converted(content, facts, hop, header_bytes)
    whole = _whole(came, content)
    notes = (_BROKEN,) if whole is not content else ()
    signing = [keys.signing[name] for name in facts.key_ids if name in keys.signing]
    changes.remarks += [
        _UNSIGNED.format(name) for name in facts.key_ids if name not in keys.signing
    ]
    signed = sign(whole, signing, message_time_ms(message_of(delivery)) // 1000)
    return Rendering(signed, changes, _names(signing) if signed is not whole else (), notes)


_BROKEN: Final = (
    "A DKIM signature that came with it was taken out: it does not hold for what was changed."
)
_UNSIGNED: Final = "It was not signed with {}: there is no such key any more."
_NO_KEY: Final = "Nothing was tracked and no image hosted: token key {} is not there any more."


def size_ahead(content: bytes, facts: MessageFacts, hop: Hop) -> int | None:
    """How long what `render` gives will be, where that costs nothing to know. Raises what it does."""
    length = len(_converted(content, facts, hop, facts.header_bytes))
    return None if is_dressed(facts) else length


def _names(signing: list[SigningKey]) -> tuple[str, ...]:
    return tuple(key_id(key.domain, key.selector) for key in signing)


def _featured(
    content: bytes,
    facts: MessageFacts,
    keys: RenderKeys,
    delivery: DeliveryId,
    styles: Styles | None,
) -> Changes:
    fields = HeaderBlock.parse(split_content(content)[0]).fields
    wishes, remarks = wishes_of(facts, fields)
    secret = keys.tokens.get(facts.token_key)
    if secret is None and wishes.needs_tokens:
        remarks.append(_NO_KEY.format(facts.token_key))
        wishes = wishes.without_tokens()
    if not wishes.any:
        return Changes(remarks=remarks)
    begin = f"{'https' if facts.tracking_https else 'http'}://{facts.tracking_host}/"
    number = facts.token_key

    def address(kind: TokenKind, position: int, target: str, tail: str) -> str:
        assert secret is not None
        return begin + mint(Token(kind, delivery, position, target, number), secret) + tail

    changes = Changes()
    if wishes.changes_bodies:
        try:
            changes = changes_of(content, wishes, address, styles)
        except TooComplex as error:
            changes = Changes(remarks=[f"It was left as it came: {error.sentence}."])
    if wishes.unsubscribe:
        leave = address(TokenKind.UNSUBSCRIBE, 0, "", TAIL)
        added = unsubscribe_edit(content, fields, leave)
        changes.edits = sorted([*changes.edits, *([added] if added is not None else [])])
    changes.remarks[:0] = remarks
    return changes


def _whole(came: bytes, content: bytes) -> bytes:
    """Without the signatures of others, where they were of what is no more.

    RFC 6376 §4.2 would have them stay. But whoever asked for the change is the one who signed, and a
    signature of the author's own domain that fails is held against him by some.
    """
    if content is came:
        return content
    header, body = split_content(content)
    if _SIGNATURE not in header.lower():
        return content
    fields = HeaderBlock.parse(header)
    kept = fields.without(_SIGNATURE)
    return content if len(kept.fields) == len(fields.fields) else kept.to_bytes() + body


def _converted(content: bytes, facts: MessageFacts, hop: Hop, header_bytes: int) -> bytes:
    if (hop.eight_bit and hop.smtputf8) or content.isascii():
        return content
    if not hop.smtputf8 and (facts.smtputf8 or not hop.eight_bit):
        header = content[:header_bytes] if header_bytes else split_content(content)[0]
        if not header.isascii():
            raise _needs_smtputf8("its header has")
        if facts.smtputf8 and _has_unicode_part(content):
            raise _needs_smtputf8("the header of one of its parts has")
    # Whoever offers SMTPUTF8 takes eight bits (RFC 6531 §3.1), whether it says so or not.
    return content if hop.eight_bit or hop.smtputf8 else downgrade(content)


def _has_unicode_part(content: bytes) -> bool:
    """RFC 6531 §3.2 forbids such a header at any level. What cannot be looked through has one."""
    try:
        waiting = [read_parts(content)]
    except TooComplex:
        return True
    while waiting:
        part = waiting.pop()
        if not content[part.start : part.body].isascii():
            return True
        waiting.extend(part.parts)
    return False


def _needs_smtputf8(what: str) -> CannotRender:
    return CannotRender(
        f"{what} characters outside ASCII, and the next server does not offer SMTPUTF8",
        status="5.6.7",
        fix="Send it through a server that offers SMTPUTF8.",
    )
