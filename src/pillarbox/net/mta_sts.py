"""policy files of MTA-STS, fetched over https from the host that a domain keeps for them

RFC 8461 §3.3 asks for much and allows little: a certificate for the right name, status 200, text,
no redirect, 64 kB at most. Whatever else comes is no policy.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pillarbox.net.web_client import WebClient
from pillarbox.net.web_errors import WebFailed, WebFault
from pillarbox.policy.mta_sts import (
    MAX_POLICY_BYTES,
    InvalidPolicy,
    StsPolicy,
    policy_url,
    read_policy,
)
from pillarbox.terms.errors import Trouble

_TOTAL_SECONDS: Final = 20.0
_USUAL_PORT: Final = 443
_OK: Final = 200


class NoStsPolicy(Trouble):
    """A domain says that it has a policy, and the policy could not be had.

    `result` is what that is called in a report (RFC 8460 §4.3.2.2).
    """

    code = "upstream_unreachable"

    def __init__(self, result: str, sentence: str) -> None:
        """See the class."""
        super().__init__(sentence)
        self.result = result


class StsFetcher:
    """Fetches policy files."""

    def __init__(self, client: WebClient, port: int = _USUAL_PORT) -> None:
        """Policy hosts listen on 443, unless `port` says otherwise."""
        self._client = client
        self._port = port

    async def fetch(self, domain: str) -> StsPolicy:
        """The policy of a domain, given in A-labels. Raises `NoStsPolicy`."""
        url = policy_url(domain)
        if self._port != _USUAL_PORT:
            parts = urlsplit(url)
            url = urlunsplit(parts._replace(netloc=f"{parts.netloc}:{self._port}"))
        try:
            answer = await self._client.get(url, seconds=_TOTAL_SECONDS, max_bytes=MAX_POLICY_BYTES)
        except WebFailed as failed:
            untrusted = failed.fault is WebFault.TLS
            result = "sts-webpki-invalid" if untrusted else "sts-policy-fetch-error"
            raise NoStsPolicy(result, failed.sentence) from failed
        host = f"mta-sts.{domain}"
        if answer.status != _OK:
            raise NoStsPolicy(
                "sts-policy-fetch-error", f"{host} answered {answer.status} instead of a policy"
            )
        if answer.media_type != "text/plain":
            raise NoStsPolicy(
                "sts-policy-invalid",
                f"{host} answered with {answer.media_type[:80] or 'no media type'}, and a policy is "
                "text/plain",
            )
        try:
            return read_policy(answer.body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise NoStsPolicy("sts-policy-invalid", f"the policy of {domain} is no text") from error
        except InvalidPolicy as error:
            raise NoStsPolicy(
                "sts-policy-invalid", f"the policy of {domain} means nothing: {error}"
            ) from error
