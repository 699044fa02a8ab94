"""a client that asks a node what it does now, and writes down each reply

For the time in which a node cannot take mail: what is said at AUTH, at MAIL, at the end of content
and over HTTP. What it hands over is mail like any other, so it stands in the journal of the clients.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import itertools
import json
import smtplib
import ssl
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.crash.cluster import Node
from tests.crash.relay import APP
from tests.doubles.journal import Journal

_PATIENCE_SECONDS: Final = 45.0
_SENDER: Final = "probe@sender.test"
_ENHANCED: Final = 2


@dataclass(slots=True)
class Replies:
    """How often each was heard, by the step it was said at."""

    heard: Counter[str] = field(default_factory=Counter)
    took: list[str] = field(default_factory=list)
    """Who said that it has taken charge."""
    slowest_seconds: float = 0.0

    def note(self, step: str, code: int, text: str = "") -> None:
        """One reply; its enhanced status counts where it is a refusal."""
        status = text.split(" ", 1)[0] if code >= 400 and text.count(".") >= _ENHANCED else ""
        self.heard[f"{step}: {code} {status}".strip()] += 1

    def numbers(self) -> dict[str, int]:
        """By step and code."""
        return dict(sorted(self.heard.items()))


class Prober:
    """Asks nodes with the login and the key of their first start."""

    def __init__(self, secrets: dict[str, str], journal: Journal) -> None:
        self.secrets = secrets
        self.journal = journal
        self._count = itertools.count()

    async def ask(self, node: Node, replies: Replies) -> None:
        """Everything at once: somebody unknown, a new login, a program."""
        await asyncio.gather(
            *(
                asyncio.to_thread(_timed, step, node, replies)
                for step in (self._log_in, self._hand_over, self._post)
            )
        )

    async def takes(self, node: Node) -> bool:
        """Whether a node takes charge of a message now; nothing is counted."""
        try:
            client = await asyncio.to_thread(Session, node, self.secrets)
        except (OSError, smtplib.SMTPException):
            return False
        return client.logged_in == 235 and await asyncio.to_thread(
            client.hand_over, self._identity(), self.journal, Replies()
        )

    async def session(self, node: Node) -> Session:
        """A login before anything happens."""
        session = await asyncio.to_thread(Session, node, self.secrets)
        assert session.logged_in == 235, f"{node.name}: {session.logged_in} at a login"
        return session

    async def use(self, session: Session, replies: Replies) -> None:
        """Hand over on a connection that was there before."""
        await asyncio.to_thread(session.hand_over, self._identity(), self.journal, replies)

    def _identity(self) -> str:
        return f"probe-{next(self._count):06}"

    def _log_in(self, node: Node, replies: Replies) -> None:
        stranger = {"Username": f"nobody-{next(self._count)}", "Password": "pb_nothing"}
        session = Session(node, stranger)
        replies.note("AUTH unknown", session.logged_in, session.words)
        session.close()

    def _hand_over(self, node: Node, replies: Replies) -> None:
        session = Session(node, self.secrets)
        replies.note("AUTH", session.logged_in, session.words)
        if session.logged_in == 235:
            session.hand_over(self._identity(), self.journal, replies)

    def _post(self, node: Node, replies: Replies) -> None:
        url = urllib.parse.urlsplit(node.http_url)
        identity = self._identity()
        recipient = f"{identity}@recipient.test"
        body = {
            "to": [{"email": recipient}], "subject": identity, "body_text": "a probe",
            "from_email": _SENDER, "async": True,
        }  # fmt: skip
        headers = {
            "X-DreamFactory-API-Key": self.secrets["Key"],
            "Content-Type": "application/json",
        }
        connection = http.client.HTTPConnection(url.hostname or "", url.port, _PATIENCE_SECONDS)
        try:
            connection.request("POST", f"/api/v2/{APP}", json.dumps(body), headers)
            response = connection.getresponse()
            reply = f"{response.status} {response.read().decode('utf-8', 'replace')}"
        except (OSError, http.client.HTTPException) as error:
            self.journal.write("unanswered", id=identity, recipients=[recipient], sha256=None)
            replies.heard[f"HTTP: {type(error).__name__}"] += 1
            return
        finally:
            connection.close()
        replies.note("HTTP", response.status)
        took = response.status // 100 == 2
        if took:
            replies.took.append(f"{node.name}: {reply}")
        self.journal.write(
            "acknowledged" if took else "refused", id=identity, recipients=[recipient],
            sha256=None, reply=reply[:300],
        )  # fmt: skip


def _timed(step: Callable[[Node, Replies], None], node: Node, replies: Replies) -> None:
    began = time.monotonic()
    step(node, replies)
    replies.slowest_seconds = max(replies.slowest_seconds, round(time.monotonic() - began, 2))


class Session:
    """One connection with STARTTLS, logged in or refused."""

    def __init__(self, node: Node, login: dict[str, str]) -> None:
        self.name = node.name
        context = ssl.create_default_context(cafile=str(node.ca_file))
        client = self._client = smtplib.SMTP(
            "127.0.0.1", node.port("STARTTLS"), "probe.sender.test", _PATIENCE_SECONDS
        )
        client.starttls(context=context)
        client.ehlo()
        words = f"\0{login['Username']}\0{login['Password']}".encode()
        self.logged_in, said = client.docmd("AUTH", "PLAIN " + base64.b64encode(words).decode())
        self.words = said.decode("utf-8", "replace")

    def hand_over(self, identity: str, journal: Journal, replies: Replies) -> bool:
        """One message, and the end of the connection. Whether the node has taken charge of it."""
        client, recipient = self._client, f"{identity}@recipient.test"
        try:
            code, words = client.mail(_SENDER)
            replies.note("MAIL", code, words.decode("utf-8", "replace"))
            if code != 250 or client.rcpt(recipient)[0] != 250 or client.docmd("DATA")[0] != 354:
                journal.write("refused", id=identity, recipients=[recipient], reply=str(words))
                return False
            content = f"From: <{_SENDER}>\r\nTo: <{recipient}>\r\nX-Exp-Id: {identity}\r\n"
            client.send(f"{content}Subject: a probe\r\n\r\nDo you take it?\r\n.\r\n")
            code, words = client.getreply()
        except (OSError, smtplib.SMTPException) as error:
            # It may have been cut behind the final dot.
            journal.write("unanswered", id=identity, recipients=[recipient], sha256=None)
            replies.heard[f"SMTP: {type(error).__name__}"] += 1
            return False
        finally:
            self.close()
        reply = f"{code} {words.decode('utf-8', 'replace')}"
        replies.note("content", code, words.decode("utf-8", "replace"))
        took = code == 250
        if took:
            replies.took.append(f"{self.name}: {reply}")
        journal.write(
            "acknowledged" if took else "refused", id=identity, recipients=[recipient],
            sha256=None, reply=reply,
        )  # fmt: skip
        return took

    def close(self) -> None:
        """Without a word."""
        self._client.close()
