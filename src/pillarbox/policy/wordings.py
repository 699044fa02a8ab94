"""wordings of servers: how they say things that their codes do not; in lower case, found anywhere"""

from __future__ import annotations

from typing import Final

WANTS_LOGIN: Final = (
    "authentication required",
    "authentication is required",
    "authentication needed",
    "requires authentication",
    "require authentication",
    "auth required",
    "must authenticate",
    "must be authenticated",
    "need to authenticate",
    "please authenticate",
    "authenticate first",
    "auth first",
    "not authenticated",
    "not logged in",
    "login first",
    "log in first",
)
QUOTA_USED: Final = (
    "sending quota exceeded",
    "sending limit",
    "sendinglimit",
    "dailylimitexceeded",
    "message quota exceeded",
    "submission quota",
    "submissionquota",
    "sending quota",
    "relay limit exceeded",
    "relay quota",
    "recipient rate limit",
    "daily limit for",
    "daily message limit",
    "outgoing message limit",
    "outgoing messages was exceeded",
    "exceeded your messaging limit",
    "maximum credits exceeded",
    "hour limit",
    "hourly limit",
    "tenant exceeded threshold",
    "tenant has exceeded threshold",
)
"""How servers say that a login has used up what it may send; none of it speaks of a mailbox."""

DENIES_RELAY: Final = (
    "relay access denied",
    "relay denied",
    "relaying denied",
    "relay not permitted",
    "relaying not permitted",
    "relay is not permitted",
    "relaying is not permitted",
    "permitted to relay",
    "relay not allowed",
    "relaying not allowed",
    "relay is not allowed",
    "relaying is not allowed",
    "allowed to relay",
    "authorized to relay",
    "authorised to relay",
    "relaying prohibited",
    "relaying is prohibited",
    "relaying disallowed",
    "unable to relay",
    "cannot relay",
    "can't relay",
    "do not relay",
    "does not relay",
    "we don't relay",
    "not a relay",
    "not an open relay",
    "no relaying",
    "rcpthosts",
)

SENDS_AS_ANOTHER: Final = (
    "send as this sender",
    "sendasdenied",
    "not allowed to send as",
    "not authorized to send as",
    "email address is not verified",
    "sender address rejected",
    "from address is not verified",
    "from address does not match a verified sender",
)
"""How servers say, with the content before them, that this login may not write as its author."""
