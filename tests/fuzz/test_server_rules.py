"""whatever a client says next, good or bad, the session, its reference and the tables here agree

A machine of rules: each says something, to three sessions at once. One hears all of it together, one
octet by octet, and one is answered only when everything was said. What must come of it the reference
knows; what a single argument means stands here, in words.
"""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
)
from pillarbox.protocol.extensions import ServerLimits
from tests.fuzz import promises
from tests.fuzz.reference import Reference
from tests.fuzz.scripted import GOODBYE, LATER, LIMITS, NEVER, Played, Script, refer, tell
from tests.fuzz.targets.session import cut
from tests.pair.answering import PASSWORD, USERNAME

GOOD_NAMES = ["client.example.com", "[127.0.0.1]", "[IPv6:::1]", "m.eml", "x" * 70, "ü"]
BAD_NAMES = ["", "   "]
GOOD_MAIL: dict[str, MailReceived] = {
    "FROM:<a@example.com>": MailReceived("a@example.com"),
    "from: <A.b@EXAMPLE.com>": MailReceived("A.b@example.com"),
    "FROM:<> SIZE=7 BODY=8BITMIME": MailReceived("", 7, "8BITMIME"),
    "FROM:<@relay.example:a@example.com> SIZE=0": MailReceived("a@example.com", 0),
    'FROM:<"a> b"@example.com>': MailReceived('"a> b"@example.com'),
    "FROM:<a@[127.0.0.1]>": MailReceived("a@[127.0.0.1]"),
}
BAD_MAIL = {
    "": "501 5.1.7",
    "FROM:": "501 5.1.7",
    "FROM:a@example.com": "501 5.1.7",
    "FROM:<a@example.com": "501 5.1.7",
    "FROM:<a@@example.com>": "501 5.1.7",
    "FROM:<a@example.com>SIZE=1": "501 5.1.7",
    "FROM:<ü@example.com>": "553 5.6.7",
    "FROM:<a@example.com> SIZE=abc": "501 5.5.4",
    "FROM:<a@example.com> SIZE=1 SIZE=1": "501 5.5.4",
    "FROM:<a@example.com> BODY=BINARYMIME": "501 5.5.4",
    "FROM:<a@example.com> BY=120;R": "555 5.5.4",
    "FROM:<a@example.com> SIZE=99999999999999999999": "552 5.3.4",
    "TO:<a@example.com>": "501 5.1.7",
}
GOOD_RCPT = {
    "TO:<b@example.net>": "b@example.net",
    "to: <MiXed@EXAMPLE.net>": "MiXed@example.net",
    "TO:<postmaster>": "postmaster",
    "TO:<b@[IPv6:::1]>": "b@[IPv6:::1]",
}
BAD_RCPT = {
    "": "501 5.1.3",
    "TO:<>": "501 5.1.3",
    "TO:<b>": "501 5.1.3",
    "TO:<b@example.net": "501 5.1.3",
    "TO:<b@ex ample.net>": "501 5.1.3",
    "TO:<b@example..net>": "501 5.1.3",
    "TO:<b@example.net> FOO=1": "555 5.5.4",
}
ANSWERED: dict[str, str] = {
    "NOOP": "250 2.0.0",
    "NOOP with words": "250 2.0.0",
    "vrfy b@example.net": "252 2.0.0",
    "EXPN list": "502 5.5.1",
    "help me": "214 2.0.0",
    "RSET now": "501 5.5.4",
    "DATA now": "501 5.5.4",
    "QUIT now": "501 5.5.4",
    "STARTTLS now": "501 5.5.4",
    "": "500 5.5.1",
    " NOOP": "500 5.5.1",
    "XCLIENT ADDR=127.0.0.1": "500 5.5.1",
    "ETRN example.com": "500 5.5.1",
    "GET / HTTP/1.1": "500 5.5.1",
    "NO\0OP": "501 5.5.2",
    "ſTARTTLS": "500 5.5.1",
}
FATAL = {
    b"NOOP\n": "550 5.5.2",
    b"NOOP\r\r\n": "550 5.5.2",
    b"NO\rOP\r\n": "550 5.5.2",
    b"\n": "550 5.5.2",
    b"QUIT\r\nNOOP\r\n": "221 2.0.0",
    b"x" * 513: "500 5.5.6",
    b"NOOP " + b"x" * 520 + b"\r\n": "500 5.5.6",
    b"MAIL " + b"x" * 2100: "500 5.5.6",
    b"AUTH " + b"x" * 12_300: "500 5.5.6",
}
BAD_CHUNKS = {
    b"": "501 5.5.4",
    b" ": "501 5.5.4",
    b" x": "501 5.5.4",
    b" -1": "501 5.5.4",
    b" 1 FIRST": "501 5.5.4",
    b" 1 LAST LAST": "501 5.5.4",
    " ²".encode(): "501 5.5.4",
    b" 99999999999": "552 5.3.4",
    b" 99999999999 LAST": "552 5.3.4",
}
CHUNKS = [
    b"hello",
    b"\r\n",
    b".",
    b"..",
    b" ",
    b"\0",
    b"\xff",
    b"x" * 40,
    b".\r\n",
    b"\t.",
    b"a\r\n",
]
NOISE = [b"\r", b"\n", b"\r\n", b".", b"\0", b"\xff", b" "]
marks = st.sampled_from([0] * 12 + [LATER, NEVER, NEVER, GOODBYE])
noise = st.lists(st.sampled_from(NOISE) | st.binary(max_size=9), min_size=1)
several = st.lists(
    st.sampled_from(["EHLO x", "HELO x", "RSET", "DATA", *ANSWERED])
    | st.sampled_from(list(GOOD_MAIL)).map("MAIL {}".format)
    | st.sampled_from([*GOOD_RCPT, *BAD_RCPT]).map("RCPT {}".format),
    min_size=2,
    max_size=6,
)


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


LOGINS = {
    f"AUTH PLAIN {encoded(f'{chr(0)}{USERNAME}{chr(0)}{PASSWORD}')}\r\n": 1,
    f"AUTH PLAIN\r\n{encoded(f'{chr(0)}{USERNAME}{chr(0)}{PASSWORD}')}\r\n": 1,
    f"auth login {encoded(USERNAME)}\r\n{encoded(PASSWORD)}\r\n": 1,
    f"AUTH LOGIN\r\n{encoded(USERNAME)}\r\n{encoded(PASSWORD)}\r\n": 1,
    "AUTH PLAIN =\r\n": 0,
    "AUTH LOGIN\r\n*\r\n": 0,
    "AUTH PLAIN\r\nnot base64\r\n": 0,
    f"AUTH LOGIN\r\n{encoded(USERNAME)}\r\n\0\r\n": 0,
    "AUTH\r\n": 0,
    "AUTH CRAM-MD5\r\n": 0,
    f"AUTH PLAIN {encoded('no nuls')}\r\n": 0,
}
"""What a client says to log in, and how many claims come of it where logins are taken."""


class Rules(RuleBasedStateMachine):
    """Sessions that live through whatever the rules come up with."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[bytes] = []

    @initialize(limits=st.sampled_from(LIMITS), begun=st.booleans())
    def connect(self, limits: ServerLimits, begun: bool) -> None:
        self.limits = limits
        given = b""
        self._heard.clear()
        self.scripts = [Script(given) for _ in range(4)]
        octets, whole, late, _ = self.scripts
        self.octets = Played(limits, octets)
        self.whole = Played(limits, whole)
        self.late = Played(limits, late, late=True)
        self.reference = refer(limits, self.scripts[3], [])
        self.alone = False
        """Whether the session that hears all together went its own way, and the others stopped."""
        if begun:
            self.line("EHLO client.example.com")
            if limits.require_tls and limits.tls == "starttls":
                self.line("STARTTLS")
                self.line("EHLO client.example.com")
            if limits.require_login:
                self.line(f"AUTH PLAIN {encoded(f'{chr(0)}{USERNAME}{chr(0)}{PASSWORD}')}")
            assert self.may_mail

    # --- what the rules say it with -------------------------------------------------------------

    def say(self, data: bytes) -> tuple[list[str], list[ServerEvent]]:
        """The replies to `data`, as code and status, and the events it led to."""
        said, events = len(self.whole.said), len(self.whole.events)
        if self.alone:
            self.whole.hear(data, len(data) or 1)
            tell(self.reference, self.scripts[3], data)
        else:
            before = sum(map(len, self._heard))
            self._heard.append(data)
            self.octets.hear(data, 1)
            for piece in cut(data, [at - before for at in self.octets.handshakes if at > before]):
                self.whole.hear(piece, len(piece) or 1)
                self.late.hear(piece, 5)
                tell(self.reference, self.scripts[3], piece)
        self._compare()
        return promises.codes(self.whole.said[said:]), self.whole.events[events:]

    def line(self, text: str) -> tuple[list[str], list[ServerEvent]]:
        return self.say(text.encode() + b"\r\n")

    def _compare(self) -> None:
        promises.agree(self.whole, self.reference)
        if not self.alone:
            assert self.octets.events == self.whole.events == self.late.events
            assert self.octets.said == self.whole.said == self.late.said

    @property
    def now(self) -> Reference:
        return self.reference

    def at(self, where: str) -> bool:
        """Whether the conversation stands there, with no line half said."""
        return self.reference.where == where and not (self.reference.line and where != "ended")

    @property
    def grown(self) -> bool:
        """Whether enough was said, so that what mostly ends a session may come."""
        return len(self._heard) > 15

    @property
    def in_envelope(self) -> bool:
        """Whether recipients may be named: a transaction is open, and no chunk of it has come."""
        return self.reference.transaction and self.reference.chunks is None

    @property
    def may_log_in(self) -> bool:
        now = self.reference
        return now.hello and not now.transaction and now.may_log_in() and not now.logged_in

    @property
    def may_mail(self) -> bool:
        now, limits = self.reference, self.limits
        return (
            now.hello
            and not now.transaction
            and (now.tls or not limits.require_tls)
            and (now.logged_in or not limits.require_login)
        )

    # --- commands -------------------------------------------------------------------------------

    @rule(mark=marks)
    def the_handler_will_answer(self, mark: int) -> None:
        for script in self.scripts:
            script.add(mark)

    @precondition(lambda self: self.at("command"))
    @rule(verb=st.sampled_from(["EHLO", "HELO", "eHlO"]), name=st.sampled_from(GOOD_NAMES))
    def hello(self, verb: str, name: str) -> None:
        said, _ = self.line(f"{verb} {name}")
        assert said[0] in ("250", "500 5.5.6" if len(name) > 60 else "250")

    @precondition(lambda self: self.at("command"))
    @rule(verb=st.sampled_from(["EHLO", "HELO"]), name=st.sampled_from(BAD_NAMES))
    def hello_without_a_name(self, verb: str, name: str) -> None:
        said, _ = self.line(f"{verb} {name}")
        assert said[0] == "501 5.5.4"

    @precondition(lambda self: self.at("command") and self.may_mail)
    @rule(argument=st.sampled_from(list(GOOD_MAIL)))
    def mail(self, argument: str) -> None:
        _, events = self.line(f"MAIL {argument}")
        assert events[:1] == [GOOD_MAIL[argument]]

    @precondition(lambda self: self.at("command") and self.may_mail)
    @rule(argument=st.sampled_from(list(BAD_MAIL)))
    def malformed_mail(self, argument: str) -> None:
        said, events = self.line(f"MAIL {argument}")
        assert said[0] == BAD_MAIL[argument]
        assert not any(isinstance(event, MailReceived) for event in events)

    @precondition(lambda self: self.at("command") and not self.may_mail)
    @rule(argument=st.sampled_from([*GOOD_MAIL, *BAD_MAIL]))
    def untimely_mail(self, argument: str) -> None:
        said, events = self.line(f"MAIL {argument}")
        assert said[0] in ("503 5.5.1", "530 5.7.0")
        assert not any(isinstance(event, MailReceived) for event in events)

    @precondition(lambda self: self.at("command") and self.in_envelope)
    @rule(argument=st.sampled_from(list(GOOD_RCPT)))
    def rcpt(self, argument: str) -> None:
        full = self.now.accepted == self.limits.max_recipients
        said, events = self.line(f"RCPT {argument}")
        if full:
            assert (said, events) == (["452 4.5.3"], [])
        else:
            assert isinstance(events[0], RecipientReceived)
            assert events[0].address == GOOD_RCPT[argument]

    @precondition(lambda self: self.at("command") and self.in_envelope)
    @rule(argument=st.sampled_from(list(BAD_RCPT)))
    def malformed_rcpt(self, argument: str) -> None:
        said, _ = self.line(f"RCPT {argument}")
        assert said[0] == BAD_RCPT[argument]

    @precondition(lambda self: self.at("command") and not self.in_envelope)
    @rule(line=st.sampled_from(["DATA", *map("RCPT {}".format, [*GOOD_RCPT, *BAD_RCPT])]))
    def out_of_order(self, line: str) -> None:
        said, _ = self.line(line)
        assert said[0] == "503 5.5.1"

    @precondition(lambda self: self.at("command") and self.now.accepted and self.in_envelope)
    @rule(argument=st.sampled_from(list(GOOD_RCPT)))
    def one_more_and_data(self, argument: str) -> None:
        self.say(f"RCPT {argument}\r\nDATA\r\n".encode())
        assert self.at("content") or self.at("ended")

    @precondition(lambda self: self.at("command") and self.in_envelope)
    @rule()
    def data(self) -> None:
        accepted = self.now.accepted
        said, _ = self.line("DATA")
        assert said[0] == ("354" if accepted else "554 5.5.1")

    @precondition(lambda self: self.at("command"))
    @rule(line=st.sampled_from(list(ANSWERED)))
    def answered_at_once(self, line: str) -> None:
        said, _ = self.line(line)
        assert said[0] == ANSWERED[line]

    @precondition(lambda self: self.at("command"))
    @rule()
    def rset(self) -> None:
        assert self.line("RSET")[0][0] == "250 2.0.0"
        assert not self.now.transaction

    @precondition(lambda self: self.at("command"))
    @rule(lines=several)
    def several_at_once(self, lines: list[str]) -> None:
        said, _ = self.say("".join(f"{line}\r\n" for line in lines).encode())
        if "DATA" not in lines and self.at("command") and not self.alone:
            assert len(said) == len(lines), "one reply for each command"

    @precondition(lambda self: self.grown)
    @rule(parts=noise)
    def noise(self, parts: list[bytes]) -> None:
        self.say(b"".join(parts))

    @precondition(lambda self: self.now.line)
    @rule()
    def the_end_of_a_line(self) -> None:
        self.say(b"\r\n")
        assert not self.now.line or self.at("ended")

    # --- a message ------------------------------------------------------------------------------

    @precondition(lambda self: self.at("content"))
    @rule(parts=st.lists(st.sampled_from(CHUNKS), max_size=12))
    def some_content(self, parts: list[bytes]) -> None:
        self.say(b"".join(parts))

    @precondition(lambda self: self.at("content"))
    @rule()
    def end_of_content(self) -> None:
        self.say(b"\r\n.\r\n")
        assert not self.at("content")

    @precondition(lambda self: self.at("content"))
    @rule(vector=st.sampled_from([b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r\r\n"]))
    def something_like_the_end(self, vector: bytes) -> None:
        said, _ = self.say(b"x" + vector + b"MAIL FROM:<smuggler@example.com>\r\n")
        assert said == ["550 5.5.2"]
        assert self.at("ended")

    @precondition(lambda self: self.at("command") and self.may_mail)
    @rule(
        parts=st.lists(st.sampled_from(CHUNKS), max_size=8),
        given=st.lists(marks, max_size=6),
        together=st.booleans(),
    )
    def a_message(self, parts: list[bytes], given: list[int], together: bool) -> None:
        for script in self.scripts:
            for mark in given:
                script.add(mark)
        content = b"".join([*parts, b"\r\n"])
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        stuffed = (b"." if content.startswith(b".") else b"") + stuffed + b".\r\n"
        envelope = b"MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
        if together:
            _, events = self.say(envelope + stuffed)
        else:
            self.say(envelope)
            if not self.at("content"):
                return
            _, events = self.say(stuffed)
        blocks = [event for event in events if isinstance(event, ContentReceived)]
        if blocks and blocks[-1].last:
            assert b"".join(block.data for block in blocks) == content
            assert blocks[-1].plain == (stuffed == content + b".\r\n")

    @precondition(lambda self: self.at("command"))
    @rule(
        chunks=st.lists(st.lists(st.sampled_from(CHUNKS), max_size=3), min_size=1, max_size=4),
        last=st.booleans(),
    )
    def some_chunks(self, chunks: list[list[bytes]], last: bool) -> None:
        now = self.now
        fresh = now.transaction and now.accepted and now.chunks is None and now.refusal is None
        parts = [b"".join(parts) for parts in chunks]
        marks = [b""] * (len(parts) - 1) + [b" LAST" if last else b""]
        words = [
            b"BDAT %d%b\r\n%b" % (len(part), mark, part)
            for part, mark in zip(parts, marks, strict=True)
        ]
        said, events = self.say(b"".join(words))
        blocks = [event for event in events if isinstance(event, ContentReceived)]
        if fresh and blocks and blocks[-1].last:
            assert b"".join(block.data for block in blocks) == b"".join(parts)
            assert len(said) == len(parts)

    @precondition(lambda self: self.at("command"))
    @rule(
        argument=st.sampled_from(list(BAD_CHUNKS)),
        behind=st.sampled_from([b"", b"MAIL FROM:<>\r\n"]),
    )
    def a_chunk_nobody_can_count(self, argument: bytes, behind: bytes) -> None:
        said, events = self.say(b"BDAT" + argument + b"\r\n" + behind)
        assert said == [BAD_CHUNKS[argument]]
        assert self.at("ended")
        assert not any(isinstance(event, MailReceived) for event in events)

    # --- logins and TLS -------------------------------------------------------------------------

    @precondition(lambda self: self.at("command") and self.may_log_in)
    @rule(words=st.sampled_from(list(LOGINS)))
    def login(self, words: str) -> None:
        _, events = self.say(words.encode())
        claims = sum(isinstance(event, LoginReceived) for event in events)
        assert claims == LOGINS[words]

    @precondition(lambda self: self.at("command") and not self.may_log_in)
    @rule(words=st.sampled_from(list(LOGINS)))
    def untimely_login(self, words: str) -> None:
        said, events = self.line(words.partition("\r")[0])
        assert said[0] in ("502 5.5.1", "503 5.5.1", "538 5.7.11")
        assert not any(isinstance(event, LoginReceived) for event in events)

    @precondition(lambda self: self.at("command"))
    @rule(words=st.sampled_from(["AUTH PLAIN", "AUTH LOGIN", f"AUTH LOGIN {encoded('x')}"]))
    def begin_a_login(self, words: str) -> None:
        self.line(words)

    @precondition(lambda self: self.at("exchange"))
    @rule(answer=st.sampled_from(["*", "=", "", "x", encoded("x"), encoded("\0a\0b"), "A" * 2000]))
    def respond(self, answer: str) -> None:
        self.line(answer)

    @precondition(lambda self: self.at("command"))
    @rule()
    def starttls(self) -> None:
        now = self.now
        fresh = now.hello and not now.transaction and not now.tls
        said, _ = self.line("STARTTLS")
        offered = self.limits.tls == "starttls"
        assert said[0] == ("220 2.0.0" if fresh and offered else "503 5.5.1" if offered or now.tls
                           else "502 5.5.1")  # fmt: skip
        if self.at("command") and said == ["220 2.0.0"]:
            assert not (now.hello or now.logged_in), "what was said before TLS is forgotten"

    @precondition(lambda self: self.grown and self.at("command") and self.limits.tls == "starttls")
    @rule(
        behind=st.sampled_from(
            [b"NOOP\r\n", b"MAIL FROM:<a@b.example>\r\n", b"\0", b"\x16\x03\x01"]
        )
    )
    def more_with_starttls(self, behind: bytes) -> None:
        now = self.now
        if not now.hello or now.transaction or now.tls:
            return
        self.alone = True
        said, events = self.say(b"STARTTLS\r\n" + behind)
        assert said == ["503 5.5.1"]
        assert self.at("ended")
        assert len(events) == 2, "a refusal and the end, and nothing of what came behind"

    @precondition(lambda self: self.at("handshake"))
    @rule(words=st.sampled_from([b"NOOP\r\n", b"x", b"EHLO x\r\nMAIL FROM:<>\r\n"]))
    def clear_text_where_tls_was_due(self, words: bytes) -> None:
        assert self.say(words)[0] == []
        assert self.at("ended")

    # --- the end --------------------------------------------------------------------------------

    @precondition(lambda self: self.grown and self.at("command"))
    @rule(line=st.sampled_from(list(FATAL)))
    def the_last_words(self, line: bytes) -> None:
        said, _ = self.say(line)
        assert said == [FATAL[line]] or (line[:4] == b"NOOP" and said == ["500 5.5.6"])
        assert self.at("ended")

    @precondition(lambda self: self.grown)
    @rule(hangs_up=st.booleans())
    def the_end(self, hangs_up: bool) -> None:
        players = [self.whole] if self.alone else [self.whole, self.octets, self.late]
        for one in (self.reference, *players):
            if hangs_up:
                one.hang_up()
            else:
                one.shut(replies.SHUTTING_DOWN)
        self._compare()
        assert self.at("ended")

    @precondition(lambda self: self.at("ended"))
    @rule(words=st.sampled_from([b"NOOP\r\n", b"EHLO x\r\n", b".\r\n"]))
    def nobody_listens_any_more(self, words: bytes) -> None:
        assert self.say(words) == ([], [])

    @precondition(lambda self: self.at("ended"))
    @rule(limits=st.sampled_from(LIMITS))
    def connect_again(self, limits: ServerLimits) -> None:
        self.teardown()
        self.connect(limits, begun=True)

    def teardown(self) -> None:
        if hasattr(self, "whole"):
            promises.check(self.whole)


Rules.TestCase.settings = settings(
    max_examples=settings.default.max_examples * 6,
    stateful_step_count=60,
    report_multiple_bugs=False,
)
Rules.TestCase.pytestmark = [pytest.mark.timeout(600)]  # a failure is made smaller for a while
test_whatever_a_client_says = Rules.TestCase
