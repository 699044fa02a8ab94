"""protocol errors carry the reply they deserve"""

from __future__ import annotations

import pytest

from pillarbox.protocol import errors
from pillarbox.protocol.errors import (
    BadRecipient,
    InputError,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
)
from pillarbox.protocol.reply import Reply

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InputError) and kind is not InputError
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_client_gets_wrong_has_an_answer_of_its_own(kind: type[InputError]) -> None:
    error = kind()
    assert error.reply is error.answer is kind.deserves
    assert error.answer.severity == 5
    assert error.sentence == (kind.__doc__ or "").splitlines()[0]


def test_a_better_answer_takes_the_place_of_the_usual_one() -> None:
    better = Reply.of(501, "5.1.3", "the address has a space in it")
    error = BadRecipient(better, detail="space")
    assert error.reply is error.answer is better
    assert error.detail == "space"


def test_our_own_mistakes_and_those_of_others_are_told_apart() -> None:
    local, remote = LocalProtocolError("we"), RemoteProtocolError("they", detail="d", fix="f")
    assert isinstance(local, ProtocolError)
    assert isinstance(remote, ProtocolError)
    assert (local.error_code, remote.error_code) == ("internal", "upstream_unreachable")
    assert (local.reply, remote.reply) == (None, None)
    assert (remote.detail, remote.fix) == ("d", "f")
