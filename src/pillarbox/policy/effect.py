"""effect: what becomes of mail handed in with a login, in sentences a person can check at a glance"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pillarbox.policy.credential import Credential, CredentialKind, Once, OverLimit
from pillarbox.policy.directory import Account, App, Mode, Uncertain, strictest
from pillarbox.policy.limits import rates_of
from pillarbox.terms.clock import from_ms

_SHOWN: Final = 3
_MEGABYTE: Final = 1_048_576

_FEATURES: Final = {
    "trackclicks": "links tracked",
    "trackopens": "opens tracked",
    "trackbounces": "bounces collected here",
    "inlinecss": "CSS inlined",
    "unsubscribe": "a way to unsubscribe",
}
_AT_HOST: Final = ("trackclicks", "trackopens", "unsubscribe")
_BEYOND: Final = {
    OverLimit.DEFER: "it is told to wait (451)",
    OverLimit.HOLD: "it is taken and held for a person",
    OverLimit.REJECT: "it is refused (550)",
}
_MODES: Final = {
    Mode.SANDBOX: "Nothing is sent out: it is kept in the sandbox.",
    Mode.HOLD: "It waits until a person releases it.",
}


def effect_of(
    credential: Credential, app: App, account: Account, now_ms: int, *, tracking: bool = True
) -> str:
    """What this login does: whether anything is taken at all, as whom it may write, what is made of
    its mail, how much of it, and what else holds. `tracking`: there is a tracking host.
    """
    mode = strictest(app.mode, credential.mode)
    sentences = (
        _closed(credential, app, account, now_ms),
        _mail(credential, app),
        "" if tracking else without_host({**app.options, **credential.options}),
        _MODES.get(mode, ""),
        *_terms(credential, now_ms),
    )
    return " ".join(filter(None, sentences))


def without_host(options: Mapping[str, str]) -> str:
    """What is asked for in vain; nothing where nothing needs the tracking host."""
    wanted = [name for name in _AT_HOST if options.get(name) == "true"]
    if options.get("images") == "hosted":
        wanted.append("images")
    if not wanted:
        return ""
    verb = "does" if len(wanted) == 1 else "do"
    return (
        f"Without a tracking host {_listed(wanted, 'and')} {verb} nothing: set tracking.host, or "
        "give its sending domain one."
    )


def _closed(credential: Credential, app: App, account: Account, now_ms: int) -> str:
    """Why nothing is taken now, in the order in which it would be noticed."""
    if not credential.active:
        why = "this login is switched off"
    elif credential.expires_at is not None and credential.has_expired(now_ms):
        why = f"this login has ended, at {_instant(credential.expires_at)}"
    elif not account.may_send:
        why = "the account has no permission to send email"
    elif not app.active:
        why = f"the app {app.name} is not active"
    elif credential.mode is Mode.OFF:
        why = "sending is switched off for this login"
    elif app.mode is Mode.OFF:
        why = f"sending is switched off for the app {app.name}"
    else:
        return ""
    return f"Nothing is taken now: {why}."


def _mail(credential: Credential, app: App) -> str:
    passes_on = credential.kind is CredentialKind.RELAY
    whose = f"that {credential.name} passes on" if passes_on else f"from {credential.name}"
    senders = _senders(credential.allowed_senders, app.allowed_senders)
    features = _features({**app.options, **credential.options})
    made = f"gets {_listed(features, 'and')}" if features else "leaves as it came"
    rates = [str(rate) for rate in rates_of(credential)]
    if not rates:
        return f"Mail {whose} may use {senders} and {made}."
    most = _listed(rates, "and")
    beyond = _BEYOND[credential.over_limit]
    return f"Mail {whose} may use {senders}, {made}, at most {most}; beyond that {beyond}."


def _senders(own: Sequence[str], of_app: Sequence[str]) -> str:
    if own and of_app:
        return (
            f"senders that both lists allow, its own ({_named(own)}) and that of its app "
            f"({_named(of_app)})"
        )
    return _named(own or of_app) or "any sender"


def _named(patterns: Sequence[str]) -> str:
    words = [_pattern(each) for each in patterns[:_SHOWN]]
    more = len(patterns) - _SHOWN
    return _listed([*words, f"{more} more"] if more > 0 else words, "or")


def _pattern(pattern: str) -> str:
    if pattern.startswith("*."):
        return f"any sender below {pattern[2:]}"
    local, at, domain = pattern.rpartition("@")
    return pattern if at and local != "*" else f"any @{domain} sender"


def _features(options: Mapping[str, str]) -> list[str]:
    words = [text for name, text in _FEATURES.items() if options.get(name) == "true"]
    if options.get("trackclicks") == "true" and options.get("preventscam") == "true":
        words[0] += " (but for those that show their address)"
    if options.get("images") == "hosted":
        words.append("embedded images hosted here")
    tags = [tag for tag in options.get("tags", "").split(",") if tag]
    if tags:
        words.append(f"the tag{'s' if len(tags) > 1 else ''} {_listed(tags[:_SHOWN], 'and')}")
    return words


def _terms(credential: Credential, now_ms: int) -> list[str]:
    """What else holds, a sentence each."""
    sentences = []
    if credential.kind is CredentialKind.RELAY:
        sentences.append("Option headers in it are removed and not obeyed.")
    elif credential.fixed_options:
        sentences.append(f"Headers cannot change {_listed(credential.fixed_options, 'or')}.")
    if credential.max_message_bytes:
        most = f"{credential.max_message_bytes / _MEGABYTE:.3g} MB"
        sentences.append(f"A message may have {most} at most.")
    if credential.allowed_addresses:
        sentences.append(f"It logs in from {_addresses(credential.allowed_addresses)} only.")
    if credential.forward_address:
        sentences.append(f"Bounces are sent on to {credential.forward_address}.")
    if credential.once is Once.MESSAGE_ID:
        sentences.append("What comes again with one Message-ID is not sent again.")
    if credential.uncertain is Uncertain.HOLD:
        sentences.append("A message that may have been taken elsewhere waits for a person.")
    if credential.expires_at is not None and not credential.has_expired(now_ms):
        sentences.append(f"It ends at {_instant(credential.expires_at)}.")
    if credential.former is not None and credential.holds_former(now_ms):
        former = credential.former
        renamed = former.username != credential.username
        what = f"login {former.username}" if renamed else "password"
        sentences.append(f"Its former {what} works too, until {_instant(former.until)}.")
    return sentences


def _addresses(networks: Sequence[str]) -> str:
    words = [each.removesuffix("/128" if ":" in each else "/32") for each in networks[:_SHOWN]]
    more = len(networks) - _SHOWN
    return _listed([*words, f"{more} more"] if more > 0 else words, "and")


def _listed(words: Sequence[str], joint: str) -> str:
    """``a, b and c``."""
    *before, last = words or ("",)
    return f"{', '.join(before)} {joint} {last}" if before else last


def _instant(at_ms: int) -> str:
    return f"{from_ms(at_ms):%Y-%m-%d %H:%M} UTC"
