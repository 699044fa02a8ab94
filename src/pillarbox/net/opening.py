"""what is said before mail may be: banner, EHLO, STARTTLS, login"""

from __future__ import annotations

from typing import Final

from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.client_wire import Wire
from pillarbox.net.dialogue import Dialogue
from pillarbox.net.errors import Broken
from pillarbox.net.securing import Security
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import Greeted, HelloAnswered, LoginAnswered, TlsAnswered
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.sasl import BEARER
from pillarbox.terms.secret import Secret

_MECHANISMS: Final = ("PLAIN", "LOGIN")
_REASON_CHARACTERS: Final = 200
_REFUSALS: Final = {
    "banner": "us at its greeting",
    "ehlo": "our EHLO",
    "starttls": "STARTTLS, and TLS is required",
    "auth": "our login",
}
_DONE: Final = 2


class Opening:
    """The steps of opening a connection. Each raises `Broken` where the server does not go along."""

    def __init__(self, wire: Wire, timeouts: ClientTimeouts, said: Dialogue) -> None:
        """`said` gets a line for each reply."""
        self._wire = wire
        self._timeouts = timeouts
        self._said = said

    async def greeted(self) -> str:
        """Wait for the banner; its text."""
        event = await self._wire.expect(Greeted, "banner", self._timeouts.banner_seconds)
        return self._accepted("banner", "banner", event.reply).text

    async def hello(self, name: str) -> None:
        """Say EHLO, or HELO to a server that knows no better."""
        wire = self._wire
        wire.stage = "ehlo"
        # A server that said more than it was asked has ended the conversation already.
        wire.check()
        wire.session.hello(name)
        wire.flush()
        event = await wire.expect(HelloAnswered, "ehlo", self._timeouts.ehlo_seconds)
        self._accepted("ehlo", "EHLO", event.reply)

    async def start_tls(self, security: Security) -> bool:
        """Say STARTTLS and do the handshake, where that is asked for; EHLO must follow then.

        False where it is not asked for, or a server that does not offer it will do.
        """
        context = security.context
        if context is None or security.at_once:
            return False
        wire = self._wire
        wire.stage = "starttls"
        wire.check()
        if not wire.session.extensions.has("STARTTLS"):
            if security.may_be_clear:
                return False
            raise security.not_offered()
        wire.session.start_tls()
        wire.flush()
        event = await wire.expect(TlsAnswered, "starttls", self._timeouts.tls_seconds)
        self._accepted("starttls", "STARTTLS", event.reply)
        await wire.start_tls(context, security, self._timeouts.tls_seconds)
        wire.session.tls_started()
        wire.hear_early()
        return True

    async def login(
        self, username: str, password: Secret, *, token: bool = False, host: str = "", port: int = 0
    ) -> str:
        """Log in by a mechanism that both sides know; its name.

        With `token` the password is an access token, and `host` and `port` are said along with it
        where the mechanism wants them.
        """
        wire = self._wire
        wire.stage = "auth"
        wire.check()
        offered = wire.session.extensions.mechanisms
        known = BEARER if token else _MECHANISMS
        mechanism = next((name for name in known if name in offered), "")
        if not mechanism:
            names = " ".join(sorted(offered)) or "no login at all"
            wanted = "XOAUTH2 nor OAUTHBEARER" if token else "PLAIN nor LOGIN"
            raise Broken("auth", f"the server offers neither AUTH {wanted}, but {names}")
        try:
            wire.session.login(mechanism, username, password, host=host, port=port)
        except LocalProtocolError as error:
            raise Broken("auth", error.sentence) from error
        wire.flush()
        event = await wire.expect(LoginAnswered, "auth", self._timeouts.auth_seconds)
        try:
            self._accepted("auth", f"AUTH {mechanism}", event.reply)
        except Broken as broken:
            if not event.reason:
                raise
            words = f"{broken.words} (it says: {event.reason[:_REASON_CHARACTERS]})"
            raise Broken("auth", words, event.reply) from None
        return mechanism

    def _accepted(self, stage: str, verb: str, reply: Reply) -> Reply:
        self._said.note(verb, reply)
        if reply.severity != _DONE:
            raise Broken(stage, f"the server refused {_REFUSALS[stage]}: {reply}", reply)
        return reply
