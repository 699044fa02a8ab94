"""a default sender, put into a message in its author's place

The operator of a server asks for this, where the server lets its login send as certain senders
only. Beside the From field itself just two others are touched, and every other byte stays: a
Reply-To is added where there is none, so that answers still reach whoever wrote, and a Sender field
goes, since it names an agent the server would refuse as well (RFC 5322 §3.6.2 asks for none where
From has one mailbox).
"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.message.header import (
    Field,
    HeaderBlock,
    addresses_in,
    field_line,
    split_content,
)
from pillarbox.message.mailboxes import Mailbox, format_mailboxes


@dataclass(frozen=True, slots=True)
class DefaultSender:
    """Who stands in, and for what: the author, the return path, or both."""

    address: str
    name: str = ""
    for_author: bool = True
    for_return_path: bool = True

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.name} <{self.address}>" if self.name else self.address


def authors_of(content: bytes) -> list[str]:
    """The addresses in the From fields, in order."""
    header = HeaderBlock.parse(split_content(content)[0])
    return [one for value in header.get_all("from") for one in addresses_in(value)]


def with_default_sender(content: bytes, sender: DefaultSender) -> bytes:
    """The message as from `sender`. Raises `InvalidHeaderValue` where he cannot be written."""
    mailboxes = format_mailboxes("from", (Mailbox(sender.name, sender.address),), used=6)
    author = Field(b"From", field_line("From", mailboxes))
    head, body = split_content(content)
    header = HeaderBlock.parse(head)
    answerable = any(addresses_in(value) for value in header.get_all("reply-to"))
    fields: list[Field] = []
    replaced = False
    for field in header.fields:
        name = field.name.lower()
        if name == b"sender":
            continue
        if name != b"from":
            fields.append(field)
            continue
        if not replaced:
            fields.append(author)
            replaced = True
        if not answerable and addresses_in(field.value):
            fields.append(_reply_to(field))
            answerable = True
    if not replaced:
        fields.insert(0, author)
    return HeaderBlock(fields, header.ending).to_bytes() + body


def _reply_to(field: Field) -> Field:
    """The author's own words under another name."""
    value = field.raw.partition(b":")[2]
    ending = b"" if value.endswith(b"\r\n") else b"\r\n"
    return Field(b"Reply-To", b"Reply-To:" + value + ending)
