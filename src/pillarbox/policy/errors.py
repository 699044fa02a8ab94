"""what policy refuses, and the reply, status and sentence each refusal deserves"""

from __future__ import annotations

from typing import ClassVar, Final

from pillarbox.protocol.reply import Reply
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.terms.errors import PillarboxError

_REPLY_TEXT_OCTETS: Final = 400  # leaves room for the codes within the 512 of RFC 5321 §4.5.3.1.5
_FALLBACK: Final = "550 5.7.1"


class Refusal(PillarboxError):
    """This is something we will not do."""

    code: ClassVar[str] = "permission_denied"

    def __init__(
        self,
        sentence: str | None = None,
        *,
        detail: str | None = None,
        fix: str | None = None,
        code: str | None = None,
        reply: Reply | None = None,
        http_status: int | None = None,
    ) -> None:
        """As the root. `reply` and `http_status` are the catalogue's for `code` when left out.

        The public sentence, and the fix where one is given, become the lines of the reply.
        """
        super().__init__(sentence, detail=detail, fix=fix, code=code)
        problem = CATALOGUE.get(self.error_code, CATALOGUE["permission_denied"])
        self.http_status = problem.http_status if http_status is None else http_status
        self.reply = reply or _reply(problem.smtp or _FALLBACK, self.sentence, fix)


class SenderNotAllowed(Refusal):
    """This login or key may not use that author or return path."""

    code: ClassVar[str] = "sender_not_allowed"


class MayNotSend(Refusal):
    """The account has no permission to send email."""

    code: ClassVar[str] = "may_not_send"


class MessageTooLarge(Refusal):
    """The message is larger than its login may send."""

    code: ClassVar[str] = "message_too_large"


class SendingOff(Refusal):
    """Sending is switched off here."""

    code: ClassVar[str] = "sending_off"


class AppInactive(Refusal):
    """The app is not active."""

    code: ClassVar[str] = "app_inactive"


class WrongState(Refusal):
    """What was asked for cannot be done in the state the delivery is in."""

    code: ClassVar[str] = "wrong_state"


class InvalidPattern(PillarboxError):
    """An allowed sender is an address, a domain, or either with a leading star."""

    code: ClassVar[str] = "invalid_value"


def _reply(smtp: str, sentence: str, fix: str | None) -> Reply:
    code, _, status = smtp.partition(" ")
    lines = (sentence,) if fix is None else (sentence, fix)
    return Reply(int(code), status, tuple(map(_one_line, lines)))


def _one_line(text: str) -> str:
    """`text` as one line any client can show: what outsiders wrote must not steer a terminal."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in text)
    return shown if len(shown) <= _REPLY_TEXT_OCTETS else shown[:_REPLY_TEXT_OCTETS] + "..."
