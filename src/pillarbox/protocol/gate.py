"""which commands may come now: what TLS, EHLO and a login open or close

What is let through and what EHLO offers are the same knowledge, so both are here. RCPT, DATA and
BDAT depend on nothing but the transaction they belong to; the session sees to them.
"""

from __future__ import annotations

from functools import lru_cache

from pillarbox.protocol import replies, sasl
from pillarbox.protocol.extensions import ServerLimits, offered_keywords
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ServerState


class Gate:
    """Whether a client has TLS, has said EHLO, has logged in; and so what it may say.

    Asked about a command, it gives the refusal, or None where the command may come.
    """

    __slots__ = ("_limits", "hello_said", "logged_in", "tls")

    def __init__(self, limits: ServerLimits) -> None:
        """A client that has said nothing yet."""
        self._limits = limits
        self.tls = limits.tls == "active"
        self.hello_said = False
        self.logged_in = False

    def secured(self) -> None:
        """TLS has begun: everything said before is forgotten (RFC 3207 §4.2)."""
        self.tls = True
        self.hello_said = self.logged_in = False

    def offer(self, hostname: str) -> Reply:
        """The answer to EHLO."""
        return _offer(hostname, self._limits, self.tls, self.logged_in)

    def starttls(self, state: ServerState) -> Reply | None:
        """STARTTLS; bytes that follow it are not looked at here."""
        if self.tls:
            return replies.TLS_ALREADY
        if self._limits.tls != "starttls":
            return replies.TLS_NOT_OFFERED
        if not self.hello_said:
            return replies.HELLO_FIRST
        return None if state is ServerState.COMMAND else replies.TLS_IN_TRANSACTION

    def auth(self, state: ServerState) -> Reply | None:
        """AUTH, whatever its mechanism."""
        limits = self._limits
        if limits.auth == "none":
            return replies.LOGIN_NOT_OFFERED
        if not limits.takes_login(tls=self.tls):
            return replies.LOGIN_NEEDS_TLS
        if self.logged_in:
            return replies.LOGIN_ALREADY
        if not self.hello_said:
            return replies.HELLO_FIRST
        return None if state is ServerState.COMMAND else replies.LOGIN_IN_TRANSACTION

    def mail(self, state: ServerState) -> Reply | None:
        """MAIL, whatever its return path."""
        if not self.hello_said:
            return replies.HELLO_FIRST
        if state is not ServerState.COMMAND:
            return replies.TRANSACTION_OPEN
        if self._limits.require_tls and not self.tls:
            return replies.STARTTLS_FIRST
        if self._limits.require_login and not self.logged_in:
            return replies.LOGIN_FIRST
        return None


@lru_cache(maxsize=64)
def _offer(hostname: str, limits: ServerLimits, tls: bool, logged_in: bool) -> Reply:
    keywords = offered_keywords(limits, sasl.MECHANISMS, tls=tls, logged_in=logged_in)
    return replies.hello(hostname, *keywords)
