from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.server import Grant, OAuth
from pillarbox.policy.token_providers import (
    PROVIDERS,
    InvalidOAuth,
    TokenEndpoint,
    endpoint_of,
    usual_grant,
)

MICROSOFT = OAuth("microsoft", client_id="c", tenant="contoso.onmicrosoft.com")
GOOGLE = OAuth("google", Grant.REFRESH_TOKEN, client_id="c")


def test_microsoft_is_asked_in_the_tenant_for_the_scope_of_the_grant():
    found = endpoint_of(MICROSOFT)
    assert found.url == (
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
    )
    assert found.scope == "https://outlook.office365.com/.default"
    found = endpoint_of(replace(MICROSOFT, grant=Grant.REFRESH_TOKEN))
    assert found.scope == "https://outlook.office.com/SMTP.Send offline_access"


def test_whoever_signed_in_at_microsoft_need_not_name_the_tenant():
    found = endpoint_of(replace(MICROSOFT, tenant="", grant=Grant.REFRESH_TOKEN))
    assert "/organizations/" in found.url


def test_google_is_asked_with_a_refresh_token_alone():
    assert endpoint_of(GOOGLE) == TokenEndpoint("https://oauth2.googleapis.com/token", "")
    assert usual_grant("google") is Grant.REFRESH_TOKEN
    assert usual_grant("microsoft") is usual_grant("") is Grant.CLIENT_CREDENTIALS


def test_a_url_or_scope_that_is_given_goes_before_the_presets():
    found = endpoint_of(replace(MICROSOFT, token_url="https://login.example/t", scope="mine"))
    assert (found.url, found.scope) == ("https://login.example/t", "mine")


def test_without_a_provider_the_url_is_what_is_given():
    found = endpoint_of(OAuth(client_id="c", token_url="https://login.example/t", scope="mail"))
    assert (found.url, found.scope) == ("https://login.example/t", "mail")


@pytest.mark.parametrize(
    ("oauth", "words"),
    [
        (replace(MICROSOFT, client_id=""), "client id"),
        (replace(MICROSOFT, tenant=""), "tenant"),
        (replace(MICROSOFT, tenant="../../evil"), "tenant"),
        (replace(MICROSOFT, tenant="a/b"), "tenant"),
        (replace(MICROSOFT, tenant="x" * 200), "tenant"),
        (replace(GOOGLE, grant=Grant.CLIENT_CREDENTIALS), "client_credentials"),
        (replace(GOOGLE, provider="yahoo"), "'yahoo'"),
        (OAuth(client_id="c"), "token endpoint"),
        (OAuth(client_id="c", token_url="ftp://x/"), "token endpoint"),
        (OAuth(client_id="c", token_url="https://x/ y"), "token endpoint"),
    ],
)
def test_what_cannot_be_asked_says_what_is_missing_and_how_to_mend_it(oauth, words):
    with pytest.raises(InvalidOAuth) as caught:
        endpoint_of(oauth)
    assert words in caught.value.sentence
    assert caught.value.fix


def test_every_provider_is_asked_over_https():
    for provider in PROVIDERS.values():
        urls = [provider.token_url, provider.authorize_url, provider.device_url]
        assert all(url.startswith("https://") for url in urls if url)
        assert provider.scopes
