"""the dialogue is kept for people, without what is nobody's business"""

from __future__ import annotations

from base64 import b64encode

from pillarbox.protocol.reply import Reply
from pillarbox.protocol.transcript import MAX_CHARACTERS, MAX_LINES, Transcript

SECRET = b64encode(b"\0shop\0pa ss word")


def test_both_sides_are_kept_with_their_milliseconds() -> None:
    said = Transcript()
    said.reply(3, Reply.of(220, None, "mail.example.com ESMTP"))
    said.commands(4, b"EHLO me.example.com\r\n")
    said.reply(5, Reply.of(250, None, "mail.example.com", "PIPELINING"))
    said.commands(6, b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
    said.reply(8, Reply.of(250, "2.1.0", "Ok"))
    said.content(9, 1234)
    assert said.lines == (
        (3, "S: 220 mail.example.com ESMTP"),
        (4, "C: EHLO me.example.com"),
        (5, "S: 250-mail.example.com"),
        (5, "S: 250 PIPELINING"),
        (6, "C: MAIL FROM:<a@example.com>"),
        (6, "C: RCPT TO:<b@example.com>"),
        (6, "C: DATA"),
        (8, "S: 250 2.1.0 Ok"),
        (9, "C: (1234 bytes of content)"),
    )


def test_an_initial_response_is_masked() -> None:
    said = Transcript()
    said.commands(0, b"auth plain " + SECRET + b"\r\n")
    said.reply(1, Reply.of(235, "2.7.0", "Logged in"))
    said.commands(2, b"NOOP\r\n")
    assert [line for _, line in said.lines] == [
        "C: auth plain ****",
        "S: 235 2.7.0 Logged in",
        "C: NOOP",
    ]


def test_everything_the_client_says_in_an_exchange_is_masked() -> None:
    said = Transcript()
    said.commands(0, b"AUTH LOGIN\r\n")
    said.reply(1, Reply.of(334, None, "VXNlcm5hbWU6"))
    said.commands(2, b"c2hvcA==\r\n")
    said.reply(3, Reply.of(334, None, "UGFzc3dvcmQ6"))
    said.commands(4, SECRET + b"\r\n")
    said.reply(5, Reply.of(535, "5.7.8", "No"))
    said.commands(6, b"QUIT\r\n")
    client = [line for _, line in said.lines if line[0] == "C"]
    assert client == ["C: AUTH LOGIN", "C: ****", "C: ****", "C: QUIT"]


def test_an_empty_line_is_no_secret() -> None:
    said = Transcript()
    said.commands(0, b"\r\n")
    assert said.lines == ((0, "C: "),)


def test_a_long_line_is_cut_and_a_long_dialogue_ends() -> None:
    said = Transcript()
    said.commands(0, b"x" * 5000 + b"\r\n")
    for at_ms in range(MAX_LINES + 5):
        said.commands(at_ms, b"NOOP\r\n")
    assert len(said.lines) == MAX_LINES
    assert max(len(line) for _, line in said.lines) == MAX_CHARACTERS
    assert said.missed == 6
