"""the server session, statement by statement"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from pillarbox.protocol import replies
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import (
    ContentReceived,
    HelloReceived,
    LoginReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    SessionEnded,
    TlsWanted,
    TransactionReset,
)
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.server import ServerSession
from pillarbox.protocol.states import ServerState
from pillarbox.terms.secret import Secret
from tests.pair.answering import HOSTNAME, LIMITS, PASSWORD, USERNAME, Listener, codes

PLAIN = b"AUTH PLAIN " + b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()) + b"\r\n"
ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n"
STARTTLS = replace(LIMITS, tls="starttls", require_tls=True)
SECURED = replace(LIMITS, tls="active", require_tls=True, require_login=True)
CLEAR = replace(LIMITS, auth="clear")


def said_hello(limits=LIMITS) -> Listener:
    listener = Listener(limits)
    listener.hear(b"EHLO client.example.com\r\n")
    return listener


def in_envelope(limits=LIMITS) -> Listener:
    listener = said_hello(limits)
    assert codes(listener.hear(ENVELOPE)) == [250, 250]
    return listener


# --- banner and EHLO -----------------------------------------------------------------------------


def test_nothing_is_read_before_the_banner() -> None:
    listener = Listener(greet=False)
    assert listener.hear(b"EHLO early\r\n") == b""
    assert not listener.session.wants_more
    assert listener.session.buffered == 12
    listener.session.greet(replies.banner(HOSTNAME))
    assert codes(listener.pump()) == [220, 250]


@pytest.mark.parametrize(
    "refusal", [replies.TOO_MANY_CONNECTIONS, Reply.of(554, "5.3.2", "No mail")]
)
def test_a_refusal_at_the_banner_ends_the_session(refusal: Reply) -> None:
    listener = Listener(greet=False)
    listener.session.greet(refusal)
    assert listener.pump() == refusal.encode()
    assert listener.ended
    assert listener.hear(b"EHLO x\r\n") == b""


def test_ehlo_lists_what_may_be_used_and_helo_lists_nothing() -> None:
    listener = Listener(STARTTLS)
    assert listener.hear(b"EHLO x\r\n").decode().splitlines() == [
        "250-mail.example.com",
        "250-PIPELINING",
        "250-SIZE 1000000",
        "250-8BITMIME",
        "250-ENHANCEDSTATUSCODES",
        "250-CHUNKING",
        "250-SMTPUTF8",
        "250-DSN",
        "250 STARTTLS",
    ]
    assert listener.hear(b"HELO x\r\n") == b"250 mail.example.com\r\n"
    assert listener.told(HelloReceived) == [HelloReceived("x", True), HelloReceived("x", False)]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("client.example.com", "client.example.com"),
        ("[127.0.0.1]", "[127.0.0.1]"),
        ("[IPv6:::1]", "[IPv6:::1]"),
        ("m.eml", "m.eml"),
        ("my_laptop", "my_laptop"),
        ("My Laptop (x); by y", "My?Laptop??x???by?y"),
        ("büro", "b?ro"),
        ("\x1b[2J", "?[2J"),
    ],
)
def test_any_name_will_do_and_is_made_fit_for_a_trace_field(name: str, kept: str) -> None:
    listener = Listener()
    assert codes(listener.hear(f"EHLO {name}\r\n".encode())) == [250]
    assert listener.told(HelloReceived) == [HelloReceived(kept, True)]
    assert b"Laptop" not in listener.sent


@pytest.mark.parametrize(
    "line", [b"EHLO\r\n", b"EHLO  \r\n", b"HELO\r\n", b"EHLO " + b"x" * 256 + b"\r\n"]
)
def test_no_name_and_an_endless_name_are_refused(line: bytes) -> None:
    assert Listener().hear(line).startswith(b"501 5.5.4")


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@example.com>\r\n", PLAIN])
def test_mail_and_auth_want_ehlo_first(line: bytes) -> None:
    assert Listener(CLEAR).hear(line).startswith(b"503 5.5.1 Say EHLO")


def test_starttls_wants_ehlo_first() -> None:
    assert Listener(STARTTLS).hear(b"STARTTLS\r\n").startswith(b"503 5.5.1 Say EHLO")


# --- commands that are always answered -----------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"NOOP\r\n", b"250 2.0.0"),
        (b"NOOP with argument\r\n", b"250 2.0.0"),
        (b"RSET\r\n", b"250 2.0.0"),
        (b"VRFY a@example.com\r\n", b"252 2.0.0"),
        (b"EXPN list\r\n", b"502 5.5.1"),
        (b"HELP\r\n", b"214-2.0.0"),
        (b"XYZZY\r\n", b"500 5.5.1"),
        (b"\r\n", b"500 5.5.1"),
        (b"RSET now\r\n", b"501 5.5.4"),
        (b"DATA now\r\n", b"501 5.5.4"),
        (b"QUIT now\r\n", b"501 5.5.4"),
        (b"STARTTLS now\r\n", b"501 5.5.4"),
        (b"NOOP \0\r\n", b"501 5.5.2"),
        (b"NOOP \xff\r\n", b"501 5.5.2"),
        (b"BDAT 6 LAST\r\nQUIT\r\n", b"503 5.5.1"),
    ],
)
def test_every_command_has_its_answer_before_and_after_ehlo(line: bytes, start: bytes) -> None:
    for listener in (Listener(), said_hello()):
        assert listener.hear(line).startswith(start)
        assert not listener.ended
        assert codes(listener.hear(b"NOOP\r\n")) == [250]


def test_quit_is_answered_and_nothing_behind_it_is_read() -> None:
    listener = said_hello()
    assert codes(listener.hear(b"QUIT\r\nNOOP\r\n")) == [221]
    assert listener.told(SessionEnded) == [SessionEnded("QUIT")]
    assert listener.hear(b"NOOP\r\n") == b""
    assert not listener.session.wants_more
    assert listener.session.buffered == 0


def test_a_line_too_long_ends_the_session() -> None:
    for line in (b"NOOP " + b"x" * 508 + b"\r\n", b"x" * 513):
        listener = Listener()
        assert listener.hear(line + b"NOOP\r\n").startswith(b"500 5.5.6")
        assert listener.ended


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\nNOOP\r\n", b"\n"])
def test_a_bare_line_end_in_a_command_ends_the_session(line: bytes) -> None:
    listener = said_hello()
    assert listener.hear(line + b"MAIL FROM:<a@example.com>\r\n") == replies.BARE_LINE_END.encode()
    assert listener.ended
    assert not listener.told(MailReceived)


def test_too_many_errors_end_the_session() -> None:
    listener = Listener()
    assert codes(listener.hear(b"X\r\n" * 20)) == [500] * 10 + [421]
    assert listener.ended
    assert listener.told(SessionEnded) == [SessionEnded("Too many errors; goodbye")]
    assert len(listener.told(Misbehaved)) == 11


def test_a_message_taken_forgives_errors() -> None:
    listener = said_hello()
    for _ in range(5):
        listener.hear(b"X\r\n" * 9 + ENVELOPE + b"DATA\r\nok\r\n.\r\n")
    assert not listener.ended
    assert len(listener.messages) == 5


def test_commands_that_lead_to_no_message_are_counted_and_a_message_begins_anew() -> None:
    listener = in_envelope(replace(LIMITS, max_idle_commands=5))
    for line in (b"NOOP\r\n", b"HELP\r\n", b"VRFY a\r\n", b"EXPN a\r\n"):
        listener.hear(line)
    listener.hear(b"DATA\r\nok\r\n.\r\n")
    assert len(listener.messages) == 1
    for _ in range(5):
        assert codes(listener.hear(b"RSET\r\n")) == [250]
    assert codes(listener.hear(b"EHLO again.example\r\n"))[-1] == 421
    assert listener.ended


def test_what_was_refused_is_reported_without_the_clients_words() -> None:
    listener = said_hello()
    listener.hear(b"ZQX zqx\r\nMAIL FROM:<zqx zqx>\r\nVRFY zqx\r\nMAIL FROM:<> ZQX=zqx\r\n")
    assert len(listener.told(Misbehaved)) == 3
    assert "zqx" not in repr(listener.told(Misbehaved)).lower()
    assert b"zqx" not in listener.sent.lower()


# --- STARTTLS ------------------------------------------------------------------------------------


def test_starttls_forgets_everything() -> None:
    listener = said_hello(replace(STARTTLS, auth="clear"))
    listener.hear(PLAIN)
    assert codes(listener.hear(b"STARTTLS\r\n")) == [220]
    assert listener.told(TlsWanted) == [TlsWanted()]
    assert not listener.session.wants_more
    listener.session.tls_started()
    assert listener.hear(b"MAIL FROM:<a@example.com>\r\n").startswith(b"503 5.5.1 Say EHLO")
    hello = listener.hear(b"EHLO x\r\n")
    assert b"STARTTLS" not in hello
    assert b"AUTH PLAIN LOGIN" in hello
    assert listener.hear(b"STARTTLS\r\n").startswith(b"503 5.5.1 TLS is already")
    assert codes(listener.hear(PLAIN)) == [235]


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"MAIL FROM:<a@example.com>\r\n", b"E", b"\r\n"])
def test_what_comes_in_one_read_with_starttls_is_refused_and_never_executed(behind: bytes) -> None:
    listener = said_hello(STARTTLS)
    assert listener.hear(b"STARTTLS\r\n" + behind).startswith(b"503 5.5.1 Nothing may follow")
    assert listener.ended
    assert not listener.told(TlsWanted)


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"MAIL FROM:<a@example.com>\r\n", b"E"])
def test_what_comes_in_clear_before_the_handshake_is_refused_and_never_executed(
    behind: bytes,
) -> None:
    listener = said_hello(STARTTLS)
    listener.hear(b"STARTTLS\r\n")
    assert listener.hear(behind) == b""
    assert listener.ended
    listener.session.tls_started()
    assert listener.session.state is ServerState.CLOSING
    assert listener.hear(b"NOOP\r\n") == b""


def test_starttls_is_refused_where_it_has_no_place() -> None:
    assert said_hello().hear(b"STARTTLS\r\n").startswith(b"502 5.5.1")
    assert said_hello(SECURED).hear(b"STARTTLS\r\n").startswith(b"503 5.5.1")
    open_transaction = in_envelope(replace(STARTTLS, require_tls=False))
    assert open_transaction.hear(b"STARTTLS\r\n").startswith(b"503 5.5.1")


def test_mail_waits_for_tls_where_tls_is_required() -> None:
    assert said_hello(STARTTLS).hear(ENVELOPE).startswith(b"530 5.7.0 Must issue STARTTLS first")


def test_a_handshake_nobody_asked_for_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="handshake done"):
        said_hello().session.tls_started()


def test_a_second_banner_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="banner sent"):
        said_hello().session.greet(replies.banner(HOSTNAME))


# --- AUTH ----------------------------------------------------------------------------------------


def test_auth_is_listed_only_where_it_is_taken() -> None:
    assert b"AUTH" not in Listener(STARTTLS).hear(b"EHLO x\r\n")
    listener = said_hello(SECURED)
    assert b"AUTH PLAIN LOGIN" in listener.sent
    listener.hear(PLAIN)
    assert b"AUTH" not in listener.hear(b"EHLO x\r\n")


def test_mail_waits_for_a_login_where_one_is_required() -> None:
    listener = said_hello(SECURED)
    assert listener.hear(b"MAIL FROM:<a@example.com>\r\n").startswith(b"530 5.7.0 Log in")
    assert codes(listener.hear(PLAIN + ENVELOPE)) == [235, 250, 250]


def test_a_login_survives_rset_and_ehlo() -> None:
    listener = said_hello(SECURED)
    listener.hear(PLAIN)
    assert codes(listener.hear(b"RSET\r\nEHLO x\r\n" + ENVELOPE)) == [250, 250, 250, 250]


@pytest.mark.parametrize(
    "said",
    [
        [PLAIN],
        [b"AUTH PLAIN\r\n", PLAIN.removeprefix(b"AUTH PLAIN ")],
        [b"AUTH LOGIN\r\n", b"c2hvcA==\r\n", b"cGEgc3Mgd29yZA==\r\n"],
        [b"auth login c2hvcA==\r\n", b"cGEgc3Mgd29yZA==\r\n"],
    ],
)
def test_every_form_of_login_ends_in_the_same_event(said: list[bytes]) -> None:
    listener = said_hello(SECURED)
    assert codes(listener.hear_in(said)) == [334] * (len(said) - 1) + [235]
    (login,) = listener.told(LoginReceived)
    assert (login.username, login.password, login.authorization) == (USERNAME, Secret(PASSWORD), "")
    assert login.mechanism in ("PLAIN", "LOGIN")


def test_login_prompts_are_those_every_client_knows() -> None:
    listener = said_hello(SECURED)
    assert listener.hear(b"AUTH LOGIN\r\n") == b"334 VXNlcm5hbWU6\r\n"
    assert listener.hear(b"c2hvcA==\r\n") == b"334 UGFzc3dvcmQ6\r\n"


def test_a_wrong_password_is_refused_and_counted() -> None:
    listener = said_hello(SECURED)
    wrong = b"AUTH PLAIN " + b64encode(b"\0shop\0wrong") + b"\r\n"
    assert codes(listener.hear(wrong * 20)) == [535] * 10 + [421]
    assert listener.ended


def test_a_login_that_cannot_be_checked_is_neither_right_nor_counted() -> None:
    listener = said_hello(SECURED)
    down = b"AUTH PLAIN " + b64encode(b"\0down\0x") + b"\r\n"
    assert codes(listener.hear(down * 20 + PLAIN)) == [454] * 20 + [235]


def test_a_second_login_is_refused() -> None:
    listener = said_hello(SECURED)
    assert codes(listener.hear(PLAIN)) == [235]
    assert listener.hear(PLAIN).startswith(b"503 5.5.1")


def test_a_login_inside_a_transaction_is_refused() -> None:
    assert in_envelope(CLEAR).hear(PLAIN).startswith(b"503 5.5.1 AUTH does not come inside")


@pytest.mark.parametrize(
    "line", [PLAIN, b"AUTH LOGIN\r\n", b"AUTH PLAIN garbage\r\n", b"AUTH X\r\n"]
)
def test_a_login_in_clear_is_refused_without_a_look_at_it(line: bytes) -> None:
    for limits in (STARTTLS, LIMITS):
        listener = said_hello(limits)
        assert listener.hear(line) == replies.LOGIN_NEEDS_TLS.encode()
        assert not listener.told(LoginReceived)
        assert "garbage" not in repr(listener.events)


def test_a_login_where_none_is_taken_is_refused() -> None:
    assert said_hello(replace(LIMITS, auth="none")).hear(PLAIN).startswith(b"502 5.5.1")


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ([b"AUTH\r\n"], b"501 5.5.4"),
        ([b"AUTH CRAM-MD5\r\n"], b"504 5.5.4"),
        ([b"AUTH PLAIN =\r\n"], b"501 5.5.2"),
        ([b"AUTH PLAIN ====\r\n"], b"501 5.5.2"),
        ([b"AUTH PLAIN *\r\n"], b"501 5.7.0"),
        ([b"AUTH PLAIN\r\n", b"*\r\n"], b"501 5.7.0"),
        ([b"AUTH LOGIN\r\n", b"c2hvcA==\r\n", b"*\r\n"], b"501 5.7.0"),
        ([b"AUTH PLAIN\r\n", b"\xff\r\n"], b"501 5.5.2"),
        ([b"AUTH PLAIN\r\n", b"\0\r\n"], b"501 5.5.2"),
        ([b"AUTH PLAIN\r\n", b"MAIL FROM:<a@example.com>\r\n"], b"501 5.5.2"),
    ],
)
def test_a_malformed_login_is_refused_and_commands_go_on(said: list[bytes], start: bytes) -> None:
    listener = said_hello(SECURED)
    listener.hear_in(said[:-1])
    assert listener.hear(said[-1]).startswith(start)
    assert listener.session.state is ServerState.COMMAND
    assert codes(listener.hear(PLAIN)) == [235]


def test_a_login_of_twelve_kilobytes_is_read_and_a_longer_one_ends_the_session() -> None:
    longest = b64encode(b"\0shop\0" + b"x" * 9198)
    assert len(longest) == 12272
    listener = said_hello(SECURED)
    assert codes(listener.hear(b"AUTH PLAIN " + longest + b"\r\n")) == [535]
    assert codes(listener.hear(b"AUTH PLAIN\r\n" + longest + b"\r\n")) == [334, 535]
    for start in (b"AUTH PLAIN ", b"AUTH PLAIN\r\n"):
        listener = said_hello(SECURED)
        assert listener.hear(start + b"x" * 20_000).endswith(replies.LINE_TOO_LONG.encode())
        assert listener.ended


# --- the envelope --------------------------------------------------------------------------------


def test_an_envelope_is_told_as_it_was_said() -> None:
    listener = said_hello()
    listener.hear(
        b"mAiL fRoM:<MiXed@EXAMPLE.com> SIZE=10 BODY=8BITMIME RET=FULL ENVID=a+2Bb SMTPUTF8\r\n"
        b"RCPT TO:<UPPER@Example.NET> NOTIFY=never ORCPT=rfc822;x@example.org\r\n"
    )
    assert listener.told(MailReceived) == [
        MailReceived("MiXed@example.com", 10, "8BITMIME", True, {"RET": "FULL", "ENVID": "a+b"})
    ]
    assert listener.told(RecipientReceived) == [
        RecipientReceived("UPPER@example.net", {"NOTIFY": "NEVER", "ORCPT": "rfc822;x@example.org"})
    ]


def test_an_ordinary_envelope_has_no_wishes() -> None:
    listener = in_envelope()
    assert listener.told(MailReceived) == [MailReceived("a@example.com", None, "7BIT", False, {})]
    assert listener.told(RecipientReceived) == [RecipientReceived("b@example.net", {})]


def test_the_null_return_path_is_empty() -> None:
    listener = said_hello()
    assert codes(listener.hear(b"MAIL FROM:<>\r\n")) == [250]
    assert listener.told(MailReceived)[0].return_path == ""


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"MAIL\r\n", b"501 5.1.7"),
        (b"MAIL FROM:a@example.com\r\n", b"501 5.1.7"),
        (b"MAIL FROM:<a@example.com> SIZE=1000001\r\n", b"552 5.3.4"),
        (b"MAIL FROM:<a@example.com> SIZE=99999999999999999999\r\n", b"552 5.3.4"),
        (b"MAIL FROM:<a@example.com> SIZE=abc\r\n", b"501 5.5.4"),
        (b"MAIL FROM:<a@example.com> XYZ=1\r\n", b"555 5.5.4"),
        ("MAIL FROM:<ü@example.com>\r\n".encode(), b"553 5.6.7"),
        (b"MAIL FROM:<" + b"x" * 2040 + b">\r\n", b"500 5.5.6"),
    ],
)
def test_a_malformed_mail_opens_nothing(line: bytes, start: bytes) -> None:
    listener = said_hello()
    assert listener.hear(line).startswith(start)
    assert not listener.told(MailReceived)
    assert listener.session.state in (ServerState.COMMAND, ServerState.CLOSING)


def test_size_up_to_the_limit_and_none_are_fine() -> None:
    for size in (b"SIZE=1000000", b"SIZE=0", b""):
        assert codes(said_hello().hear(b"MAIL FROM:<a@example.com> " + size + b"\r\n")) == [250]


def test_a_refused_mail_opens_nothing() -> None:
    listener = said_hello()
    said = listener.hear(b"MAIL FROM:<forged@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
    assert codes(said) == [550, 503, 503]
    assert codes(listener.hear(ENVELOPE)) == [250, 250]


def test_a_second_mail_is_refused() -> None:
    assert in_envelope().hear(b"MAIL FROM:<c@example.com>\r\n").startswith(b"503 5.5.1")


def test_an_address_beyond_ascii_needs_smtputf8_in_its_mail() -> None:
    line = "RCPT TO:<ü@example.com>\r\n".encode()
    assert in_envelope().hear(line).startswith(b"553 5.6.7")
    listener = said_hello()
    listener.hear(b"MAIL FROM:<a@example.com> SMTPUTF8\r\n")
    assert codes(listener.hear(line)) == [250]
    listener.hear(b"RSET\r\nMAIL FROM:<a@example.com>\r\n")
    assert codes(listener.hear(line)) == [553]


def test_recipients_beyond_the_limit_are_for_another_message() -> None:
    listener = in_envelope(replace(LIMITS, max_recipients=2))
    said = listener.hear(b"RCPT TO:<unknown@b.example>\r\n" + b"RCPT TO:<c@b.example>\r\n" * 20)
    assert codes(said) == [550, 250] + [452] * 19
    assert codes(listener.hear(b"DATA\r\nx\r\n.\r\n")) == [354, 250]
    assert listener.messages[0].recipients == ["b@example.net", "c@b.example"]


@pytest.mark.parametrize("line", [b"RCPT TO:<a>\r\n", b"RCPT TO:<>\r\n", b"RCPT\r\n"])
def test_a_malformed_recipient_leaves_the_others(line: bytes) -> None:
    listener = in_envelope()
    assert listener.hear(line).startswith(b"501 5.1.3")
    assert codes(listener.hear(b"DATA\r\nx\r\n.\r\n")) == [354, 250]


def test_data_without_a_recipient_is_refused() -> None:
    listener = said_hello()
    said = listener.hear(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<unknown@b.example>\r\nDATA\r\n")
    assert codes(said) == [250, 550, 554]
    assert listener.session.state is ServerState.ENVELOPE


def test_the_recipients_of_one_message_are_not_those_of_the_next() -> None:
    listener = in_envelope()
    listener.hear(b"DATA\r\nx\r\n.\r\n")
    assert codes(listener.hear(b"MAIL FROM:<a@example.com>\r\nDATA\r\n")) == [250, 554]
    listener = in_envelope()
    listener.hear(b"RSET\r\n")
    assert codes(listener.hear(b"MAIL FROM:<a@example.com>\r\nDATA\r\n")) == [250, 554]


@pytest.mark.parametrize("line", [b"RCPT TO:<b@example.net>\r\n", b"DATA\r\n"])
def test_rcpt_and_data_want_mail_first(line: bytes) -> None:
    assert said_hello().hear(line).startswith(b"503 5.5.1")


@pytest.mark.parametrize("line", [b"RSET\r\n", b"EHLO x\r\n", b"HELO x\r\n"])
def test_rset_and_hello_forget_the_transaction(line: bytes) -> None:
    listener = in_envelope()
    assert codes(listener.hear(line + b"DATA\r\n")) == [250, 503]
    assert listener.told(TransactionReset) == [TransactionReset()]
    listener.hear(line)
    assert len(listener.told(TransactionReset)) == 1


# --- content -------------------------------------------------------------------------------------


def test_content_is_given_without_its_dots_and_its_end() -> None:
    listener = in_envelope()
    assert codes(listener.hear(b"DATA\r\n")) == [354]
    assert listener.hear(b"Subject: x\r\n\r\n..\r\n...x\r\n\0\xff") == b""
    assert listener.hear(b"\r\n.\r\n") == b"250 2.0.0 Ok: queued as msg_1\r\n"
    assert listener.messages[0].content == b"Subject: x\r\n\r\n.\r\n..x\r\n\0\xff\r\n"
    assert listener.told(ContentReceived) == [ContentReceived(listener.messages[0].content, True)]


def test_an_empty_message_is_a_message() -> None:
    listener = in_envelope()
    assert codes(listener.hear(b"DATA\r\n.\r\n")) == [354, 250]
    assert listener.messages[0].content == b""


def test_long_content_comes_in_blocks() -> None:
    listener = in_envelope(replace(LIMITS, block_bytes=1000))
    body = b"".join(b"line %d\r\n.dot\r\n" % n for n in range(1000))
    listener.hear(b"DATA\r\n" + body.replace(b"\r\n.", b"\r\n..") + b".\r\nNOOP\r\n")
    blocks = listener.told(ContentReceived)
    assert [len(block.data) for block in blocks[:-1]] == [1000] * (len(body) // 1000)
    assert [block.last for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert listener.messages[0].content == body
    assert codes(listener.sent)[-2:] == [250, 250]


def test_while_a_block_waits_nothing_is_read() -> None:
    session = ServerSession(replace(LIMITS, block_bytes=10), HOSTNAME)
    session.greet(replies.banner(HOSTNAME))
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    session.reply(replies.OK)
    session.receive(b"RCPT TO:<a@b>\r\nDATA\r\n")
    session.reply(replies.OK)
    while session.next_event() is not None:
        pass
    session.receive(b"0123456789abc\r\n.\r\n")
    assert session.next_event() == ContentReceived(b"0123456789", False)
    assert session.next_event() is None
    assert not session.wants_more
    assert session.buffered > 0
    session.receive(b"NOOP\r\n")
    session.proceed()
    assert session.next_event() == ContentReceived(b"abc\r\n", True, plain=True)
    with pytest.raises(LocalProtocolError, match="no block"):
        session.proceed()
    with pytest.raises(LocalProtocolError, match="no block"):
        session.refuse_content(replies.TRY_LATER)
    session.bytes_to_send()
    session.reply(replies.OK)
    assert codes(session.bytes_to_send()) == [250, 250]


def test_content_refused_at_a_block_is_discarded_to_its_end() -> None:
    listener = in_envelope(replace(LIMITS, block_bytes=10))
    assert codes(listener.hear(b"DATA\r\nrefuse this" + b"x" * 5000)) == [354]
    assert listener.hear(b"x" * 5000) == b""
    assert codes(listener.hear(b"\r\n.\r\nNOOP\r\n")) == [554, 250]
    assert len(listener.told(ContentReceived)) == 1
    assert listener.messages == []
    assert codes(listener.hear(ENVELOPE + b"DATA\r\nfine\r\n.\r\n")) == [250, 250, 354, 250]
    assert listener.messages[0].content == b"fine\r\n"


@pytest.mark.parametrize("content", [b"refuse this", b"x" * 60])
def test_content_that_was_thrown_away_is_a_transaction_that_is_gone(content: bytes) -> None:
    listener = in_envelope(replace(LIMITS, block_bytes=20, max_message_bytes=50))
    listener.hear(b"DATA\r\n" + content + b"x" * 20)
    assert listener.told(TransactionReset) == []
    listener.hear(b"\r\n.\r\n")
    assert len(listener.told(TransactionReset)) == 1


def test_a_refusal_holds_for_one_message_only() -> None:
    listener = in_envelope(replace(LIMITS, block_bytes=10, max_message_bytes=100))
    assert codes(listener.hear(b"DATA\r\nrefuse this one\r\n.\r\n")) == [354, 554]
    large = ENVELOPE + b"DATA\r\n" + b"x" * 200 + b"\r\n.\r\n"
    assert codes(listener.hear(large)) == [250, 250, 354, 552]


def test_content_refused_at_its_end_leaves_the_session_alive() -> None:
    listener = in_envelope()
    assert codes(listener.hear(b"DATA\r\nrefuse\r\n.\r\n")) == [354, 554]
    assert codes(listener.hear(ENVELOPE)) == [250, 250]


def test_content_too_large_is_discarded_then_refused_and_the_session_lives() -> None:
    listener = in_envelope(replace(LIMITS, max_message_bytes=1000, block_bytes=100))
    said = listener.hear_in(
        [b"DATA\r\n", b"x" * 998 + b"\r\n", b"y\r\n", b"z" * 9999, b"\r\n.\r\n"]
    )
    assert said.endswith(replies.TOO_LARGE.encode())
    assert listener.told(TransactionReset) == [TransactionReset()]
    assert listener.messages == []
    assert listener.session.state is ServerState.COMMAND
    listener.hear(ENVELOPE + b"DATA\r\n" + b"x" * 998 + b"\r\n.\r\n")
    assert len(listener.messages[0].content) == 1000


def test_a_line_of_any_length_is_kept_as_it_is() -> None:
    listener = in_envelope()
    body = b"x" * 100_000 + b"\r\n"
    listener.hear(b"DATA\r\n" + body + b".\r\n")
    assert listener.messages[0].content == body


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"a\r\r\nb", b"a\n\r\nb"])
def test_a_bare_line_end_in_content_refuses_the_message_and_ends_the_session(bare: bytes) -> None:
    listener = in_envelope()
    listener.hear(b"DATA\r\n")
    assert listener.hear(bare + b"\r\n.\r\nNOOP\r\n") == replies.BARE_LINE_END.encode()
    assert listener.messages == []
    kinds = [type(event) for event in listener.events[-3:]]
    assert kinds == [TransactionReset, Misbehaved, SessionEnded]


def test_pipelined_transactions_are_answered_in_order() -> None:
    listener = said_hello()
    one = ENVELOPE + b"DATA\r\nhello\r\n.\r\n"
    assert codes(listener.hear(one * 3 + b"QUIT\r\n")) == [250, 250, 354, 250] * 3 + [221]
    assert len(listener.messages) == 3


# --- the ways it can end -------------------------------------------------------------------------


def test_a_421_of_the_driver_ends_the_session() -> None:
    listener = said_hello()
    said = listener.hear(b"MAIL FROM:<>\r\nRCPT TO:<closing@example.com>\r\nNOOP\r\n")
    assert codes(said) == [250, 421]
    assert listener.ended


def test_a_421_at_a_block_ends_the_session_at_once() -> None:
    session = ServerSession(replace(LIMITS, block_bytes=5), HOSTNAME)
    session.greet(replies.banner(HOSTNAME))
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    session.reply(replies.OK)
    session.receive(b"RCPT TO:<a@b>\r\nDATA\r\n0123456789")
    session.reply(replies.OK)
    session.bytes_to_send()
    session.refuse_content(replies.SHUTTING_DOWN)
    assert session.bytes_to_send() == replies.SHUTTING_DOWN.encode()
    assert session.state is ServerState.CLOSING


def test_an_answer_that_comes_too_late_is_ignored() -> None:
    listener = Listener()
    session = listener.session
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    session.shut(replies.IDLE)
    session.bytes_to_send()
    session.reply(replies.OK)
    session.proceed()
    session.refuse_content(replies.OK)
    session.shut(replies.IDLE)
    session.receive_eof()
    assert session.bytes_to_send() == b""


def test_an_answer_nobody_waits_for_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="no event waits"):
        Listener().session.reply(replies.OK)


def test_what_was_said_before_hanging_up_is_still_executed() -> None:
    listener = Listener()
    listener.session.receive(b"EHLO x\r\n" + ENVELOPE + b"DATA\r\nhello\r\n.\r\n")
    listener.session.receive_eof()
    listener.pump()
    assert len(listener.messages) == 1
    assert listener.told(SessionEnded) == [SessionEnded("the client hung up")]


def test_hanging_up_inside_content_takes_no_message() -> None:
    listener = in_envelope()
    listener.hear(b"DATA\r\nhalf a mess")
    listener.hang_up()
    assert listener.messages == []
    assert listener.ended
