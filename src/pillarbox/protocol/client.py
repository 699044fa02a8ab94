"""ClientSession: intents in, bytes out; pipelined replies find their commands"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pillarbox.protocol.command import check_envelope, format_mail
from pillarbox.protocol.dots import DotWriter, stuff
from pillarbox.protocol.events import EnvelopeAnswered, VerdictReceived
from pillarbox.protocol.opening import HEARS_OPENING, Hears, Opening
from pillarbox.protocol.pipeline import Expected
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ClientState, ClientTrigger

_LONE_DOT: Final = b".\r\n"
_RSET: Final = b"RSET\r\n"


class ClientSession(Opening):
    """One connection as the client sees it.

    The driver says what it wants, writes what `bytes_to_send` returns, passes on what it
    receives, and takes the events. Saying something at the wrong moment raises
    `LocalProtocolError`. An answer of 421 is reported like any other and ends the session.
    """

    def __init__(self) -> None:
        """A connection that was just made; the banner is awaited."""
        super().__init__(_HEARS)
        self._asked = 0
        self._ahead = False
        self._mail: Reply | None = None
        self._answers: list[Reply] = []
        self._accepted = False
        self._dots: DotWriter | None = None

    # --- what the driver wants ---------------------------------------------------------------

    @property
    def may_go_ahead(self) -> bool:
        """Whether the next envelope may follow content at once: the server pipelines, and content
        may be the first command of a group (RFC 2920 §3.1).
        """
        return not self._ahead and self.extensions.has("PIPELINING")

    def envelope(
        self,
        return_path: str,
        recipients: Sequence[str],
        *,
        size: int | None = None,
        body: str = "7BIT",
        smtputf8: bool = False,
        report: str | None = None,
        envelope_id: str | None = None,
        wishes: Sequence[str] = (),
        requiretls: bool = False,
    ) -> None:
        """Say MAIL, RCPT and DATA, all at once where that was offered; `EnvelopeAnswered` follows.

        `return_path` is empty for the null return path, `size` in octets, `body` 7BIT or 8BITMIME.
        `report` and `envelope_id` are RET and ENVID, `wishes` what `format_wishes` makes of each
        recipient's. A parameter is only said to a server that offered it; but `requiretls`
        (RFC 8689) must not be left out, and raises. Where `may_go_ahead` it may be said right
        behind the content before it; `VerdictReceived` on that comes first.
        """
        offered = self.extensions
        utf8 = smtputf8 and offered.has("SMTPUTF8")
        check_envelope(return_path, recipients, utf8=utf8)
        mail = format_mail(
            return_path,
            offered,
            size=size,
            body=body,
            smtputf8=utf8,
            report=report,
            envelope_id=envelope_id,
            requiretls=requiretls,
        )
        said = _with_wishes(recipients, wishes) if wishes and offered.has("DSN") else None
        if self._state is ClientState.VERDICT and self.may_go_ahead:
            self._ahead = True
        else:
            self._move(ClientTrigger.ENVELOPE)
        self._mail, self._answers, self._asked = None, [], len(recipients)
        self._accepted = False
        pipeline = self._pipeline
        if offered.has("PIPELINING"):
            if said is None:
                middle = ">\r\nRCPT TO:<".join(recipients)
                group = f"{mail}RCPT TO:<{middle}>\r\nDATA\r\n".encode()
            else:
                group = f"{mail}{''.join(said)}DATA\r\n".encode()
            answers = [Expected.RCPT] * len(recipients)
            pipeline.say(group, Expected.MAIL, *answers, Expected.DATA)
        else:
            pipeline.hold(mail.encode(), Expected.MAIL)
            for rcpt in said or [f"RCPT TO:<{recipient}>\r\n" for recipient in recipients]:
                pipeline.hold(rcpt.encode(), Expected.RCPT)
            pipeline.hold(b"DATA\r\n", Expected.DATA)
            pipeline.release(at_once=False)

    def content(self, data: bytes, *, plain: bool = False) -> None:
        """Send a whole message after a ready `EnvelopeAnswered`; `VerdictReceived` follows.

        Dots are doubled, a missing last line end is added, everything else goes as it is. `plain`
        content is known to have no bare line end and no line that begins with a dot, because a
        server session took it in.
        """
        self._require(ClientTrigger.CONTENT_ENDED)
        stuffed = stuff(data, plain=plain)
        self._move(ClientTrigger.CONTENT_ENDED)
        self._pipeline.say(stuffed, Expected.VERDICT)

    def content_block(self, data: bytes) -> None:
        """Send part of a message; any number of parts, then `content_end`."""
        self._require(ClientTrigger.CONTENT_ENDED)
        self._dots = self._dots or DotWriter()
        self._pipeline.say(self._dots.write(data))

    def content_end(self) -> None:
        """End a message sent in parts; `VerdictReceived` follows."""
        self._require(ClientTrigger.CONTENT_ENDED)
        end = (self._dots or DotWriter()).end()
        self._dots = None
        self._move(ClientTrigger.CONTENT_ENDED)
        self._pipeline.say(end, Expected.VERDICT)

    def reset(self) -> None:
        """Say RSET to see whether the peer is still there. No event; `expecting` ends."""
        self._require(ClientTrigger.ENVELOPE)
        self._clean_up(_RSET)

    # --- what the server says ----------------------------------------------------------------

    def _mail_answer(self, reply: Reply) -> None:
        self._mail = reply
        if reply.code == 421:
            self._cut_short(reply)
        elif reply.severity != 2 and self._pipeline.held_back:
            self._answer_envelope(None)

    def _rcpt_answer(self, reply: Reply) -> None:
        self._answers.append(reply)
        if not self._accepted:
            self._accepted = reply.severity == 2
        if reply.code == 421:
            self._cut_short(reply)
        elif not self._accepted and len(self._pipeline.held_back) == 1:
            self._answer_envelope(None)  # of what was held back, only DATA is left

    def _cut_short(self, reply: Reply) -> None:
        # The connection ends here. Whoever was not answered is answered by this.
        if self._answers or not self._pipeline.held_back:
            self._answers += [reply] * (self._asked - len(self._answers))
        self._answer_envelope(None)

    def _data_answer(self, reply: Reply) -> None:
        if reply.severity == 2:
            raise self._fault("the server took content that was never sent", str(reply))
        self._answer_envelope(reply)

    def _verdict(self, reply: Reply) -> None:
        self._move(ClientTrigger.DECIDED)
        if self._ahead:
            self._ahead = False
            self._move(ClientTrigger.ENVELOPE)
        self._events.append(VerdictReceived(reply))

    def _clean(self, _: Reply) -> None:
        """Whatever RSET or a lone dot was answered, no transaction is open."""

    # --- consequences ------------------------------------------------------------------------

    def _answer_envelope(self, data: Reply | None) -> None:
        mail = self._mail
        assert mail is not None
        self._pipeline.held_back.clear()
        invited = data is not None and data.severity == 3
        ready = invited and mail.severity == 2 and self._accepted
        self._move(ClientTrigger.INVITED if ready else ClientTrigger.REFUSED)
        self._events.append(EnvelopeAnswered(mail, tuple(self._answers), data, ready))
        if ready:
            return
        if invited:
            # RFC 2920 §3.1: the server waits for content although there is nobody to get it.
            self._clean_up(_LONE_DOT)
        elif mail.severity == 2:
            self._clean_up(_RSET)

    def _clean_up(self, what: bytes) -> None:
        self._pipeline.hold(what, Expected.CLEAN_UP)
        self._pipeline.release(at_once=self.extensions.has("PIPELINING"))


def _with_wishes(recipients: Sequence[str], wishes: Sequence[str]) -> list[str]:
    return [
        f"RCPT TO:<{recipient}>{wish}\r\n"
        for recipient, wish in zip(recipients, wishes, strict=True)
    ]


_HEARS: Final[Mapping[Expected, Hears]] = {
    **HEARS_OPENING,
    Expected.MAIL: ClientSession._mail_answer,
    Expected.RCPT: ClientSession._rcpt_answer,
    Expected.DATA: ClientSession._data_answer,
    Expected.VERDICT: ClientSession._verdict,
    Expected.CLEAN_UP: ClientSession._clean,
}
