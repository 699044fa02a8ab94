"""what is stored of a message beside its content: what was said of it, and what was found"""

from __future__ import annotations

from pillarbox.handover.tracking import Tracked
from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.policy.envelope import DEFAULT_NOTIFY, Envelope, Recipient
from pillarbox.policy.notice import format_notify
from pillarbox.policy.submitter import Submitter

_UNTRACKED = Tracked()


def facts_of(
    envelope: Envelope,
    submitter: Submitter,
    origin: Origin,
    options: dict[str, OptionValue],
    *,
    header_bytes: int,
    blocks: int,
    eight_bit: bool,
    tls_optional: bool = False,
    key_ids: tuple[str, ...] = (),
    tracked: Tracked | None = None,
) -> MessageFacts:
    """All that is needed to repeat the work on a message.

    What was found decides, not what was declared: some programs declare SMTPUTF8 and 8BITMIME for
    all they send, and others send eight bits without a word.
    """
    tracked = tracked or _UNTRACKED
    return MessageFacts(
        return_path=envelope.return_path,
        recipients=tuple(
            [
                RecipientFacts(
                    recipient.address,
                    _wishes(recipient),
                    recipient.original,
                    bool(recipient.notify_said),
                )
                for recipient in envelope.recipients
            ]
        ),
        origin=origin,
        submitter_kind=submitter.kind,
        submitter_name=submitter.name,
        body="8BITMIME" if eight_bit else envelope.body,
        smtputf8=(envelope.smtputf8 and eight_bit) or not _in_ascii(envelope),
        report=envelope.report,
        envelope_id=envelope.envelope_id,
        uncertain=submitter.uncertain,
        options=options,
        key_ids=key_ids,
        header_bytes=header_bytes,
        blocks=blocks,
        # RFC 8689 §4.1: beside REQUIRETLS the field means nothing.
        tls="required" if envelope.requires_tls else "optional" if tls_optional else "",
        tracking_host=tracked.host,
        tracking_https=tracked.https,
        token_key=tracked.key,
        exceptions=tracked.exceptions,
    )


def _wishes(recipient: Recipient) -> str:
    if recipient.notify is DEFAULT_NOTIFY:
        return "FAILURE"
    return recipient.notify_said or format_notify(recipient.notify)


def _in_ascii(envelope: Envelope) -> bool:
    """Domains always are, in A-labels; a local part need not be (RFC 6531 §3.3)."""
    addresses = [recipient.address for recipient in envelope.recipients]
    return "".join((envelope.return_path, *addresses)).isascii()
