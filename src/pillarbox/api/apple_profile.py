"""configuration profiles: a mail account for a Mac, an iPhone or an iPad, in one file

Apple's payload ``com.apple.mail.managed`` must have both an incoming and an outgoing server, so the
incoming one is asked for: Pillarbox keeps no mailboxes. The profile is not signed, which the device
says when it is installed, and has no password in it: the device asks for both.
"""

from __future__ import annotations

import hashlib
import plistlib
from typing import Any, Final

from pillarbox.policy.connecting import Incoming, LoginFacts
from pillarbox.terms.ids import ObjectId

MEDIA_TYPE: Final = "application/x-apple-aspen-config"
_IDENTIFIER: Final = "org.pillarbox.mail"
_ACCOUNT_TYPES: Final = {"imap": "EmailTypeIMAP", "pop3": "EmailTypePOP"}
_PASSWORD: Final = "EmailAuthPassword"


def build_profile(
    credential: ObjectId,
    facts: LoginFacts,
    incoming: Incoming,
    *,
    address: str,
    full_name: str = "",
) -> bytes:
    """The profile of one login.

    Its ids derive from the credential's, so that the profile of a later day replaces this one
    instead of making a second account.
    """
    account: dict[str, Any] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_IDENTIFIER}.{credential.hex()}.account",
        "PayloadUUID": _uuid(credential, "account"),
        "PayloadDisplayName": address,
        "EmailAccountDescription": address,
        "EmailAccountType": _ACCOUNT_TYPES[incoming.kind],
        "EmailAddress": address,
        "IncomingMailServerAuthentication": _PASSWORD,
        "IncomingMailServerHostName": incoming.host,
        "IncomingMailServerPortNumber": incoming.port,
        # Said for STARTTLS as well: the payload has no other word for encryption.
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "OutgoingMailServerAuthentication": _PASSWORD,
        "OutgoingMailServerHostName": facts.host,
        "OutgoingMailServerPortNumber": facts.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": facts.username,
        "OutgoingPasswordSameAsIncomingPassword": False,
    }
    if full_name:
        account["EmailAccountName"] = full_name
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_IDENTIFIER}.{credential.hex()}",
        "PayloadUUID": _uuid(credential, "profile"),
        "PayloadDisplayName": f"Mail for {address}",
        "PayloadDescription": f"Reads mail from {incoming.host}, sends it through {facts.host}.",
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _uuid(credential: ObjectId, part: str) -> str:
    """Made from a digest, as version 8 of RFC 9562 §5.8 allows."""
    digest = bytearray(hashlib.sha256(credential + part.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex().upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
