from __future__ import annotations

import json

import pytest

from pillarbox.cli.errors import Exit
from tests.unit.cli.conftest import Do


@pytest.mark.parametrize("verb", ["request", "renew"])
def test_nothing_is_asked_of_an_authority_whose_terms_nobody_agreed_to(do: Do, verb: str) -> None:
    done = do("certificate", verb, "track.example.com")
    assert done.code != Exit.DONE
    assert "acme.agree_terms" in done.err or verb == "renew"
    assert json.loads(do("certificate", "list", "--json").out)["items"] == []


def test_what_cannot_have_a_certificate_is_named_with_the_reason(do: Do) -> None:
    done = do("certificate", "request", "*.example.com")
    assert done.code == Exit.USAGE
    assert "port 80 cannot prove" in done.err


def test_a_host_that_was_not_asked_for_is_not_removed(do: Do) -> None:
    done = do("certificate", "remove", "track.example.com", "--yes")
    assert done.code == Exit.NOT_FOUND
    assert "pillarbox certificate list" in done.err
