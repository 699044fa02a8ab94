"""every reply of ours is well-formed, named, and classed as its code"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pillarbox.protocol import errors, replies
from pillarbox.protocol.reply import Reply
from pillarbox.terms.status import EnhancedStatus

NAMED = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}
MADE = {
    "banner": replies.banner("mail.example.com"),
    "accepted_message": replies.accepted_message("msg_0123456789AB"),
    "hello": replies.hello("mail.example.com", "PIPELINING", "SIZE 1"),
    "challenge": replies.challenge("VXNlcm5hbWU6"),
    "tls_expected": replies.tls_expected(587),
    "clear_expected": replies.clear_expected(465),
}
WITHOUT_STATUS = {"banner", "hello", "challenge", "START_CONTENT"}


@pytest.mark.parametrize(("name", "reply"), [*NAMED.items(), *MADE.items()])
def test_every_reply_has_a_status_of_the_class_of_its_code(name: str, reply: Reply) -> None:
    """RFC 2034 §4; the banner, EHLO, HELO and intermediate replies have none."""
    if name in WITHOUT_STATUS:
        assert reply.status is None
    else:
        assert reply.status is not None
        assert EnhancedStatus.parse(reply.status).severity == reply.severity


@pytest.mark.parametrize("reply", [*NAMED.values(), *MADE.values()])
def test_every_reply_fits_its_lines_and_says_something(reply: Reply) -> None:
    assert all(len(line) + 2 <= 512 for line in reply.encode().split(b"\r\n"))
    assert reply.text
    assert reply.text.isascii()
    assert "?" not in reply.encode().decode().replace(reply.text, "")


@pytest.mark.parametrize(
    ("reply", "start"),
    [
        (replies.OK_RESET, "250 2.0.0"),
        (replies.STARTTLS_FIRST, "530 5.7.0 Must issue STARTTLS first"),
        (replies.LOGIN_FIRST, "530 5.7.0"),
        (replies.LOGIN_OK, "235 2.7.0"),
        (replies.LOGIN_REFUSED, "535 5.7.8"),
        (replies.LOGIN_UNAVAILABLE, "454 4.7.0"),
        (replies.LOGIN_NEEDS_TLS, "538 5.7.11"),
        (replies.TRY_LATER, "451 4.3.0"),
        (replies.STORAGE_FULL, "452 4.3.1"),
        (replies.TOO_LARGE, "552 5.3.4"),
        (replies.TOO_MANY_RECIPIENTS, "452 4.5.3"),
        (replies.SHUTTING_DOWN, "421 4.3.2"),
        (replies.IDLE, "421 4.4.2"),
        (replies.BARE_LINE_END, "550 5.5.2"),
        (replies.UNKNOWN_PARAMETER, "555 5.5.4"),
        (replies.accepted_message("msg_1"), "250 2.0.0 Ok: queued as msg_1"),
    ],
)
def test_the_codes_clients_rely_on_are_these(reply: Reply, start: str) -> None:
    assert reply.encode().decode().startswith(start)


def test_no_reply_is_made_outside_but_with_the_errors_that_deserve_it() -> None:
    """So that this list is the whole list. `path` may say more about an address."""
    folder = Path(replies.__file__).parent
    makers = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "of"
                and ast.unparse(node.value) == "Reply"
            ):
                makers.add(path.stem)
    assert makers == {"replies", "errors", "path"}
    deserved = {
        kind.deserves.encode()
        for kind in vars(errors).values()
        if isinstance(kind, type) and "deserves" in vars(kind)
    }
    assert deserved <= {reply.encode() for reply in NAMED.values()}
