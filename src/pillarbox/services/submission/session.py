"""permission: what a submitting client may do, command by command"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial

from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.facts import Origin
from pillarbox.net.interface import Answer, Peer
from pillarbox.observe.log import logger
from pillarbox.policy.authority import may_submit, may_use_author, too_large
from pillarbox.policy.errors import Refusal
from pillarbox.policy.problems import Problem, ProblemKind, shown
from pillarbox.policy.submitter import Submitter
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    HelloReceived,
    LoginReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    ServerEvent,
    TransactionReset,
)
from pillarbox.protocol.reply import Reply
from pillarbox.services.submission.desk import Desk
from pillarbox.services.submission.particulars import (
    envelope_of,
    in_unicode,
    origin_of,
    recipient_of,
)
from pillarbox.services.submission.transaction import Transaction
from pillarbox.storage.interface.errors import StorageFull
from pillarbox.terms.errors import PillarboxError, Trouble
from pillarbox.terms.ids import MessageId

_log = logger("submission")

_PROBLEMS = {
    "sender_not_allowed": ProblemKind.SENDER_NOT_ALLOWED,
    "may_not_send": ProblemKind.MAY_NOT_SEND,
}


class SubmissionSession:
    """One connection of somebody who hands in mail. Implements `net.interface.SessionHandler`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._peer = Peer("", 0, "")
        self._hello = ""
        self._extended = False
        self._submitter: Submitter | None = None
        self._username = ""
        """As the client gave it, fit to be shown."""
        self._version = 0
        self._logged_in = False
        self._known_origin: Origin | None = None
        self._transaction: Transaction | None = None

    def opened(self, peer: Peer) -> Reply:
        """The banner; who it is shows at AUTH."""
        self._peer = peer
        self._desk.metrics.smtp_sessions_opened[peer.listener] += 1
        return replies.banner(self._desk.hostname)

    def secured(self, peer: Peer) -> None:
        """TLS was started; everything said before is forgotten."""
        self._peer = peer
        self._hello = ""
        self._known_origin = None
        self._transaction = None

    def handle(self, event: ServerEvent) -> Answer:
        """Answer one event."""
        # No table of bound methods: a session that refers to itself lives until it is searched for.
        match event:
            case MailReceived():
                return self._mail(event)
            case RecipientReceived():
                return self._recipient(event)
            case ContentReceived():
                return self._content(event)
            case LoginReceived():
                return self._login(event)
            case HelloReceived():
                self._greeted(event)
            case TransactionReset():
                self._reset(event)
            case Misbehaved():
                self._misbehaved(event)
        return None

    def closed(self, reason: str) -> None:
        """Blocks stored for a message that never came to its end belong to nobody."""
        self._give_up()
        if self._logged_in and self._submitter is not None:
            self._desk.entrance.leave(self._submitter)

    # --- who ----------------------------------------------------------------------------------

    def _greeted(self, event: HelloReceived) -> None:
        self._hello = event.name
        self._extended = event.extended
        self._known_origin = None
        self._transaction = None

    async def _login(self, event: LoginReceived) -> Reply:
        entrance = self._desk.entrance
        version = entrance.authenticator.version
        found = await entrance.login(event, self._peer, self._hello)
        if isinstance(found, Reply):
            return found
        self._submitter, self._version = found, version
        self._username = shown(event.username)
        self._logged_in = True
        self._known_origin = None
        return replies.LOGIN_OK

    async def _reconsider(self, event: MailReceived) -> Reply:
        """Directory data has changed since the login, or this is a port of this machine."""
        desk, known, peer = self._desk, self._submitter, self._peer
        authenticator = desk.entrance.authenticator
        # Looked at first: what changes while we read has to be seen at the next message.
        version = authenticator.version
        try:
            if known is not None:
                found = await authenticator.still_valid(known, peer.address)
            elif desk.local_credential and peer.loopback:
                self._username = desk.local_credential
                found = await authenticator.local(desk.local_credential)
            else:
                return replies.LOGIN_FIRST
        except Trouble:
            return replies.TRY_LATER
        if isinstance(found, ProblemKind):
            whose = known.id if known is not None else None
            return desk.entrance.refuse(
                Problem(found, peer.address, peer.local_port, self._username, whose)
            )
        self._submitter, self._version = found, version
        return self._begin(event, found)

    def _neighbour(self) -> Submitter | None:
        """Who it is on a port of this machine, where that is known without waiting."""
        name, authenticator = self._desk.local_credential, self._desk.entrance.authenticator
        if not name or not self._peer.loopback:
            return None
        self._submitter, self._version = authenticator.local_at_once(name), authenticator.version
        self._username = name
        return self._submitter

    # --- one transaction ----------------------------------------------------------------------

    def _mail(self, event: MailReceived) -> Answer:
        submitter = self._submitter or self._neighbour()
        if submitter is None or self._version != self._desk.entrance.authenticator.version:
            return self._reconsider(event)
        if submitter.ends_at is not None and self._desk.clock.now_ms() >= submitter.ends_at:
            return self._reconsider(event)
        return self._begin(event, submitter)

    def _begin(self, event: MailReceived, submitter: Submitter) -> Reply:
        """What the door would refuse anyway is refused before the content comes."""
        desk = self._desk
        trouble = desk.gate.trouble
        if trouble is not None:
            return _reply_to(trouble)
        most, size = submitter.max_message_bytes, event.size
        refusal = (
            may_submit(submitter)
            or may_use_author(submitter, None, event.return_path)
            or (too_large(size, most) if most and size is not None and size > most else None)
            or desk.door.used_up(submitter)
        )
        if refusal is not None:
            return self._refused(refusal)
        self._transaction = Transaction(event, most)
        return replies.RETURN_PATH_OK

    def _recipient(self, event: RecipientReceived) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.RETURN_PATH_FIRST
        transaction.recipients.append(recipient_of(event))
        return replies.RECIPIENT_OK

    def _reset(self, event: TransactionReset) -> None:
        self._give_up()

    def _give_up(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None and transaction.upload is not None:
            self._desk.clean_up(self._forget(transaction.upload))

    async def _forget(self, upload: MessageId) -> None:
        """What cannot be removed now is swept after the next start."""
        try:
            await self._desk.queue.drop_blocks(upload)
        except Trouble as trouble:
            _log.warning("upload.left", reason=str(trouble))

    def _content(self, event: ContentReceived) -> Answer:
        transaction = self._transaction
        if transaction is None:
            return replies.RETURN_PATH_FIRST
        if event.last and not transaction.head:
            return self._finish(transaction, Content(event.data, plain=event.plain))
        if not transaction.head:
            transaction.head = event.data
            return None
        return self._store(transaction, event)

    async def _store(self, transaction: Transaction, event: ContentReceived) -> Reply | None:
        """A further block of long content rests in the database at once, not in memory."""
        desk = self._desk
        try:
            if transaction.upload is None:
                transaction.upload = desk.queue.next_message_id(desk.clock.now_ms())
            if event.data:
                transaction.grow(event.data)
                await desk.queue.store_block(transaction.upload, transaction.blocks, event.data)
        except PillarboxError as error:
            self._give_up()
            return self._refused(error)
        if not event.last:
            return None
        content = Content(
            transaction.head, transaction.upload, transaction.blocks, transaction.bytes,
            eight_bit=transaction.eight_bit,
        )  # fmt: skip
        return await self._finished(self._finish(transaction, content))

    async def _finished(self, answer: Reply | Awaitable[Reply | None]) -> Reply | None:
        return answer if isinstance(answer, Reply) else await answer

    def _finish(
        self, transaction: Transaction, content: Content
    ) -> Reply | Awaitable[Reply | None]:
        """Hand it to the door; the answer comes with the commit, and no task waits for it."""
        submitter = self._submitter
        if submitter is None:
            self._transaction = None
            return replies.LOGIN_FIRST
        door = self._desk.door
        if not door.is_prepared(submitter, transaction.recipients):
            return self._prepare(transaction, content, submitter)
        self._transaction = None
        mail = transaction.mail
        envelope = envelope_of(mail, transaction.recipients)
        origin = in_unicode(self._origin) if mail.smtputf8 else self._origin
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        told = partial(self._told, answer, transaction.upload)
        try:
            door.accept_soon(envelope, content, submitter, origin, told)
        except PillarboxError as error:
            told(None, error)
        return answer

    async def _prepare(
        self, transaction: Transaction, content: Content, submitter: Submitter
    ) -> Reply | None:
        try:
            await self._desk.door.prepare(submitter, transaction.recipients)
        except Trouble as trouble:
            self._give_up()
            return self._refused(trouble)
        return await self._finished(self._finish(transaction, content))

    def _told(
        self,
        answer: asyncio.Future[Reply | None],
        upload: MessageId | None,
        receipt: Receipt | None,
        error: BaseException | None,
    ) -> None:
        if upload is not None and (receipt is None or receipt.message != upload):
            self._desk.clean_up(self._forget(upload))
        if answer.done():
            return  # the session was cut off meanwhile; whoever is ours stays ours
        if receipt is not None:
            answer.set_result(replies.accepted_message(receipt.id_text))
        elif isinstance(error, PillarboxError):
            answer.set_result(self._refused(error))
        else:
            answer.set_exception(error or RuntimeError("nothing was said"))

    @property
    def _origin(self) -> Origin:
        known = self._known_origin
        if known is None:
            known = self._known_origin = origin_of(
                self._peer, self._hello, extended=self._extended, logged_in=self._logged_in
            )
        return known

    # --- refusals -----------------------------------------------------------------------------

    def _refused(self, error: PillarboxError) -> Reply:
        desk, peer = self._desk, self._peer
        reply = _reply_to(error)
        name = self._submitter.name if self._submitter is not None else ""
        kind = _PROBLEMS.get(error.error_code)
        if kind is not None and self._submitter is not None:
            problem = Problem(
                kind, peer.address, peer.local_port, self._username, self._submitter.id,
                shown(error.sentence),
            )  # fmt: skip
            desk.entrance.note(problem)
            reply = replies.referring(reply, problem.reference)
        desk.metrics.messages_rejected["smtp", error.error_code] += 1
        _log.warning(
            "submission.refused", submitter=name, peer=peer.address, reply=str(reply),
            detail=error.detail or "",
        )  # fmt: skip
        desk.news.tell(desk.clock.now_ms(), "refused", name, error.sentence)
        return reply

    def _misbehaved(self, event: Misbehaved) -> None:
        _log.info(
            "session.misbehaved", peer=self._peer.address, what=event.what, reply=str(event.reply)
        )
        self._desk.entrance.misbehaved(event, self._peer)


def _reply_to(error: PillarboxError) -> Reply:
    """An error carries its own answer; what is only trouble asks the client to come back."""
    match error:
        case Refusal():
            return error.reply
        case StorageFull():
            return replies.STORAGE_FULL
        case Trouble() if error.error_code != "node_draining":
            return replies.TRY_LATER
        case _:
            return Refusal(error.sentence, code=error.error_code, fix=error.fix).reply
