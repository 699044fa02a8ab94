from __future__ import annotations

import pytest

from pillarbox.net import errors
from pillarbox.net.errors import Broken, PortInUse, PortNotPermitted, Process
from pillarbox.protocol.reply import Reply
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.terms.errors import PillarboxError, Trouble

ALL = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, PillarboxError)
]


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_in_the_catalogue(error: type[PillarboxError]) -> None:
    assert error.code in CATALOGUE


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ("connect", "upstream_unreachable"),
        ("starttls", "upstream_tls_failed"),
        ("auth", "upstream_auth_failed"),
        ("verdict", "upstream_unreachable"),
    ],
)
def test_the_stage_decides_the_code(stage: str, code: str) -> None:
    assert Broken(stage, "words").error_code == code
    assert code in CATALOGUE


def test_a_broken_conversation_is_trouble_and_carries_what_was_said() -> None:
    reply = Reply.of(421, "4.3.2", "bye")
    error = Broken("mail", "lost", reply, after_dot=True, reused=True, dialogue=((1, "x"),))
    assert isinstance(error, Trouble)
    assert (error.stage, error.words, error.reply) == ("mail", "lost", reply)
    assert error.after_dot and error.reused and error.dialogue == ((1, "x"),)


def test_a_port_in_use_names_its_holder_where_it_is_known() -> None:
    known = PortInUse("127.0.0.1", 2525, Process("postfix", 812))
    assert known.sentence == 'port 2525 on 127.0.0.1 is used by "postfix" (pid 812)'
    assert "another process" in PortInUse("127.0.0.1", 2525).sentence


def test_a_port_that_is_not_permitted_says_what_to_do() -> None:
    error = PortNotPermitted("0.0.0.0", 25)
    assert "port 25" in error.sentence
    assert error.fix is not None and "1023" in error.fix
