"""why no access token was given, or a login by one was refused, and what a person can do about it

Known codes and phrases are data. Whatever is not known is shown in the other side's own words.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pillarbox.protocol.reply import Reply

_SHOWN_CHARACTERS: Final = 160
_MICROSOFT_CODE: Final = re.compile(r"AADSTS(\d{4,8})")
_ERROR_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,60}")
_TOO_MANY: Final = 429
_REQUEST_TIMEOUT: Final = 408
_SERVER_ERROR: Final = 500
_REFUSED: Final = 5


class TokenRefusal(NamedTuple):
    """What a token endpoint's refusal means."""

    words: str
    """They end a sentence that begins with the endpoint's host."""
    lasting: bool
    """Whether it will be the same until a person has changed something."""


_FIXES: Final[dict[str, str]] = {
    # Microsoft; what each means stands in its list of authentication error codes.
    "7000215": "the client secret is wrong; give its value, not its id, with --client-secret-file",
    "7000222": "the client secret has expired; make a new one under Certificates & secrets of the "
    "app registration and set it with --client-secret-file",
    "700016": "there is no such client id in this tenant; compare the application (client) id and "
    "the directory (tenant) id",
    "90002": "there is no such tenant; compare the directory (tenant) id",
    "900023": "the tenant is neither an id nor a domain; compare the directory (tenant) id",
    "900144": "something is missing in what was asked; compare client id, secret and scope",
    "65001": "nobody has consented; an administrator has to grant admin consent to the app's "
    "permission for SMTP",
    "70011": "the scope is not valid; leave it out to use the preset's",
    "1002012": "the scope must end in /.default for client credentials; leave it out",
    "50034": "there is no such user in this tenant; sign in with an account of it",
    "50053": "the account is locked; unlock it, then make a new refresh token",
    "50057": "the account is disabled; enable it",
    "50076": "the account has to confirm a second factor; make a new refresh token",
    "50079": "the account has to set up a second factor; make a new refresh token",
    "50173": "the password was changed; make a new refresh token",
    "50126": "user name or password are wrong",
    "53003": "a Conditional Access policy forbids it; an administrator has to permit this app",
    "70008": "the refresh token has expired; make a new one",
    "700082": "the refresh token was not used for too long; make a new one",
    "700084": "the refresh token has reached its end; make a new one",
    "9002313": "the refresh token is damaged or not one of this app; make a new one",
    "7000218": "a client secret is missing; set it with --client-secret-file, or permit public "
    "client flows in the app registration",
    "700025": "this app is a public client, which has no secret; take it away",
    "7000112": "the app is disabled in this tenant; enable it under Enterprise applications",
    # The names of RFC 6749 §5.2, which everybody else has.
    "invalid_client": "client id or client secret are wrong; compare both with the registration",
    "unauthorized_client": "this client may not use the grant; compare it with the registration",
    "unsupported_grant_type": "it does not take the grant; choose another with --grant",
    "invalid_scope": "the scope is not valid; correct it with --scope",
    "invalid_request": "something is missing in what was asked; compare client id, secret and scope",
    "invalid_grant": "the refresh token is no longer valid: revoked, expired, or the password was "
    "changed (of a Google app in testing they live for seven days); make a new one",
    "deleted_client": "the client was deleted; register another",
    "org_internal": "the app is for members of its organisation only; use an account of it",
    "admin_policy_enforced": "an administrator has to permit the app for this organisation",
}
_TRANSIENT: Final = frozenset(
    {
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "90033",
        "50196",
        "90043",
        "internal_failure",
    }
)

_LOGIN_FIXES: Final[tuple[tuple[str, str], ...]] = (
    ("smtpclientauthentication is disabled for the tenant",
     "SMTP AUTH is switched off for the whole organisation; an administrator has to permit it for "
     "this mailbox: Set-CASMailbox -SmtpClientAuthenticationDisabled $false"),
    ("smtpclientauthentication is disabled for the mailbox",
     "SMTP AUTH is switched off for this mailbox; an administrator has to permit it: "
     "Set-CASMailbox -SmtpClientAuthenticationDisabled $false"),
    ("basic authentication is disabled",
     "Microsoft no longer takes passwords; set it up with --oauth microsoft"),
    ("security defaults",
     "the organisation's security defaults forbid it; an administrator has to decide"),
    ("account is locked", "the account is locked; unlock it"),
    ("conditional access", "a Conditional Access policy forbids it"),
    ("application-specific password required",
     "Google wants an app password here, or --oauth google"),
    ("5.7.57 ", "the mailbox may not send by SMTP AUTH, or the login is of another mailbox"),
)  # fmt: skip
_TOKEN_FIXES: Final[tuple[tuple[str, str], ...]] = (
    ("5.7.3 ",
     "the token is for another mailbox or lacks the permission: SMTP.SendAsApp with admin consent, "
     "the service principal in Exchange Online, and full access to this mailbox"),
    ("5.7.8 ",
     "the token is not for this user name, or was not given for mail; sign in again as that user"),
)  # fmt: skip


def read_refusal(status: int, error: str, description: str) -> TokenRefusal:
    """What an answer of a token endpoint means that holds no token.

    `error` and `description` are those of RFC 6749 §5.2, empty where it gave none.
    """
    found = _MICROSOFT_CODE.search(description)
    code = found[1] if found else ""
    name = error if _ERROR_NAME.fullmatch(error) else ""
    said = f"AADSTS{code}" if code else name
    if status >= _SERVER_ERROR or status in (_TOO_MANY, _REQUEST_TIMEOUT):
        busy = " and asks us to slow down" if status == _TOO_MANY else ""
        return TokenRefusal(
            f"answered {status} in place of an access token{busy}" + (f" ({said})" if said else ""),
            False,
        )
    if not name:
        return TokenRefusal(
            f"answered {status} without a token and without a reason; compare the token URL", False
        )
    lasting = code not in _TRANSIENT and name not in _TRANSIENT
    fix = _FIXES.get(code) or _FIXES.get(name)
    if not fix:
        shown = (description.splitlines() or [""])[0][:_SHOWN_CHARACTERS].strip()
        fix = shown or "it gives no reason"
    return TokenRefusal(f"gave no access token ({said}): {fix}", lasting)


def advice_on_login(reply: Reply, *, token: bool) -> str:
    """What to do about a refused login, as the end of a sentence; empty where nothing is known."""
    if reply.severity != _REFUSED:
        return ""
    text = f"{reply.status} {' '.join(reply.lines)}".lower()
    fixes = (*_LOGIN_FIXES, *_TOKEN_FIXES) if token else _LOGIN_FIXES
    return next((fix for phrase, fix in fixes if phrase in text), "")
