"""why a step of a check failed, and what to do about it"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.advice import CARDS
from pillarbox.policy.checkup import Result, Step, StepName, shortened
from pillarbox.policy.meaning import Category
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Encryption, Kind, Server

_TLS_PORT: Final = 465


def failed_step(step: StepName, outcome: Outcome, server: Server, milliseconds: int) -> Step:
    """A step that ended the check."""
    words = f"{server.label} {outcome.words}"
    if outcome.text:
        words = f"{words}: {outcome.code} {outcome.status} {outcome.text}"
    why, fix = _remedy(step, outcome, server)
    return Step(step, Result.FAILED, shortened(words), milliseconds, why, fix)


def _remedy(step: StepName, outcome: Outcome, server: Server) -> tuple[str, str]:
    """Why it is so, and what to do, as far as anybody can say from here."""
    said = f"{outcome.status} {outcome.text} {outcome.words}".lower()
    card = CARDS.get(Category(outcome.category))
    if server.kind is Kind.DIRECT and step is StepName.NAME:
        return "", "Check the domain of the app's test address, and this machine's DNS servers."
    if server.kind is Kind.DIRECT:
        return "", card.advice if card else "Ask whoever keeps the recipient's host."
    change = f"pillarbox server set {server.name}"
    if step is StepName.LOGIN and server.oauth is not None and server.auth:
        if "no refresh token yet" in said:
            return "Nobody has signed in for it.", f"pillarbox server authorize {server.name}"
        if "cannot be asked" in said:
            return (
                "The login is made with an access token, and nobody gives one just now.",
                "Check this machine's DNS and firewall, and that the token endpoint is right.",
            )
        # What is wrong, and what mends it, stands in the words already.
        return "The login is made with an access token.", f"{change}, as the page on OAuth shows"
    for at, phrases, why, fix in _KNOWN:
        if at is step and any(phrase in said for phrase in phrases):
            return why, fix.format(change=change)
    if step in (StepName.CONNECT, StepName.GREETING) and _speaks_another_way(server):
        tls = server.encryption is not Encryption.TLS
        return (
            f"Port {server.port} {'speaks TLS from the start' if tls else 'begins in clear'}.",
            f"{change} --encryption {'tls' if tls else 'starttls'}",
        )
    why, fix = _USUAL.get(step, ("", ""))
    return why, fix.format(change=change) or (card.advice if card else "")


def _speaks_another_way(server: Server) -> bool:
    return (server.port == _TLS_PORT) is not (server.encryption is Encryption.TLS)


_KNOWN: Final[tuple[tuple[StepName, tuple[str, ...], str, str], ...]] = (
    (StepName.LOGIN, ("application-specific password", "5.7.9 ", "app password"),
     "The provider takes an app password here, not the one you sign in with.",
     "Make one in the provider's security settings, then: {change} --ask-password"),
    (StepName.LOGIN, ("5.7.139", "5.7.30", "basic authentication"),
     "The provider takes no passwords here any more, or its administrator has switched them off.",
     "Use a login with OAuth, or have authenticated SMTP permitted for this mailbox."),
    (StepName.LOGIN, ("neither auth plain nor login", "no login at all"),
     "The server offers no login that we could use over this connection.",
     "Try another encryption: {change} --encryption starttls; without a login: --no-auth"),
    (StepName.LOGIN, ("4.7.", "454 "),
     "The server cannot look our login up just now.",
     "Check again in a few minutes."),
    (StepName.TLS, ("does not offer starttls",),
     "The server does not encrypt on this port, and you asked for encryption.",
     "{change} --port 465 --encryption tls; in a network you trust: --encryption none"),
    (StepName.TLS, ("may want starttls",),
     "This port begins in clear.",
     "{change} --encryption starttls"),
    (StepName.TLS, ("issued for another",),
     "The certificate belongs to a host of another name than the one set up here.",
     "Use the name in the certificate: {change} --host NAME"),
    (StepName.TLS, ("expired",),
     "The certificate was not renewed in time.",
     "Tell the server's keeper. Mail takes the other servers meanwhile."),
    (StepName.TLS, ("self-signed", "unknown authority"),
     "No authority that this machine knows answers for the certificate.",
     "Name its authority: {change} --ca-file FILE"),
    (StepName.CONNECT, ("local address",),
     "Connections shall come from an address that this machine does not have.",
     "{change} --local-address ADDRESS; with an empty one any is used"),
    (StepName.CONNECT, ("nobody listens",),
     "The machine is there, but has no mail server on this port.",
     "Check the port: 587 for starttls, 465 for tls. {change} --port PORT"),
    (StepName.CONNECT, ("does not answer", "firewall"),
     "Nothing comes back from there; often a firewall on the way, or a provider that closes port 25.",
     "Try port 587 or 465, or have the port opened for this machine."),
)  # fmt: skip
"""Of a step: what the failure's words hold, why it is so, and what to do. The first that fits."""

_USUAL: Final[dict[StepName, tuple[str, str]]] = {
    StepName.NAME: (
        "The name server does not know this host, or did not answer.",
        "Check the spelling: {change} --host HOST",
    ),
    StepName.CONNECT: ("", "Check host, port and firewall: {change} --host HOST --port PORT"),
    StepName.GREETING: ("", "Check that host and port belong to a mail server."),
    StepName.TLS: ("", "Check the encryption chosen and the certificate."),
    StepName.LOGIN: (
        "User name or password are wrong, or the provider wants an app password.",
        "{change} --username NAME --ask-password",
    ),
    StepName.SENDER: (
        "The server lets this login send as certain addresses only.",
        "Try another one with --from, then set it: {change} --from-address ADDRESS",
    ),
}
"""What is said of a step where nothing better is known."""
