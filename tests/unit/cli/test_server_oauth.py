from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillarbox.cli.errors import Exit

MICROSOFT = (
    "server", "add", "m365", "--oauth", "microsoft", "--tenant", "contoso.onmicrosoft.com",
    "--client-id", "c1", "--username", "relay@contoso.com", "--client-secret-file", "secret",
)  # fmt: skip


@pytest.fixture
def secret(directory: Path) -> Path:
    path = directory / "secret"
    path.write_text("s3cret~value\n")
    return path


def test_a_login_by_token_is_set_up_without_naming_host_or_password(do, secret) -> None:
    done = do(*MICROSOFT)
    assert done.code == Exit.DONE, done.err
    assert "smtp.office365.com:587" in done.out
    shown = do("server", "show", "m365").out
    assert "relay@contoso.com, with tokens from microsoft" in shown
    assert "client secret set" in shown
    assert "contoso.onmicrosoft.com" in shown
    assert "s3cret" not in shown + done.out + do("server", "show", "m365", "--json").out


def test_a_new_secret_is_told_as_new_and_never_shown(do, secret) -> None:
    do(*MICROSOFT)
    secret.write_text("another one")
    changed = do("server", "set", "m365", "--client-secret-file", "secret")
    assert changed.code == Exit.DONE, changed.err
    assert "a new client secret" in changed.out
    assert "another" not in changed.out
    assert do("server", "set", "m365").out == "m365: nothing changed\n"


def test_what_changes_is_told(do, secret) -> None:
    do(*MICROSOFT)
    changed = do("server", "set", "m365", "--tenant", "fabrikam.com")
    assert "tenant=fabrikam.com" in changed.out


def test_another_endpoint_is_named_by_its_url(do, secret) -> None:
    done = do(
        "server", "add", "x", "--host", "smtp.example.com", "--oauth", "https://login.example/t",
        "--client-id", "c", "--username", "u", "--client-secret-file", "secret", "--scope", "smtp",
        "--json",
    )  # fmt: skip
    assert done.code == Exit.DONE, done.err
    oauth = json.loads(done.out)["oauth"]
    assert (oauth["token_url"], oauth["provider"]) == ("https://login.example/t", "")


def test_google_without_its_refresh_token_says_that_it_is_missing(do, secret) -> None:
    done = do(
        "server", "add", "g", "--oauth", "google", "--client-id", "c", "--username", "u@gmail.com",
        "--client-secret-file", "secret",
    )  # fmt: skip
    assert done.code == Exit.DONE, done.err
    assert "refresh token MISSING" in do("server", "show", "g").out
    assert "server authorize g" in done.out


def test_a_secret_from_standard_input_is_read_and_only_one_can_be(do) -> None:
    done = do(*MICROSOFT[:-1], "-", said="s3cret\nn\n")
    assert done.code == Exit.DONE, done.err
    both = do("server", "set", "m365", "--client-secret-file", "-", "--refresh-token-file", "-")
    assert both.code == Exit.USAGE
    assert "only one secret" in both.err


def test_what_is_missing_is_named(do) -> None:
    done = do(*MICROSOFT[:-2])
    assert done.code == Exit.USAGE
    assert "client_secret" in done.err
