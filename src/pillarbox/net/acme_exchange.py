"""what is said to an authority over ACME (RFC 8555), in the words of certbot's library

Everything here blocks and belongs into a thread; the library is slow to import, so nothing imports
this before somebody wants a certificate. The library signs and reads; what is sent goes through our
own web client, which bounds size and time and follows no redirect.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, Final

import requests
from acme import challenges, client, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from josepy.util import ComparableECKey
from requests.adapters import BaseAdapter

from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.net.web_client import WebAnswer
from pillarbox.terms.secret import Secret

Send = Callable[[str, str, dict[str, str], bytes | None], WebAnswer]
"""Method, URL, header fields and body are sent; blocks. Raises `WebFailed`, `WebAddressInvalid`."""

_SHOWN_CHARACTERS: Final = 500
_MOST_SUBPROBLEMS: Final = 5
_MOST_PAUSE_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Binding:
    """What some authorities give their customers to show with a new account (RFC 8555 §7.3.4)."""

    key_id: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Proof:
    """What is to be answered under ``/.well-known/acme-challenge/`` (RFC 8555 §8.3)."""

    token: str
    answer: str


@dataclass(slots=True)
class _Asked:
    """An order that is open, and the challenges it set."""

    order: messages.OrderResource
    waiting: list[messages.AuthorizationResource]
    challenges: list[messages.ChallengeBody]


class Exchange:
    """One conversation with one authority. Every method blocks and raises `AcmeFailed`."""

    def __init__(self, directory: str, key: Secret, send: Send, agent: str) -> None:
        """`key` is that of our account, an elliptic one on P-256, as PEM."""
        private = serialization.load_pem_private_key(key.reveal().encode(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise AcmeFailed("the key of our account with the authority is of another kind")
        self._key = JWKEC(key=ComparableECKey(private))
        self._carrier = _Carrier(send)
        self._net = client.ClientNetwork(self._key, alg=ES256, user_agent=agent)
        session = self._net.session
        session.trust_env = False
        session.max_redirects = 0
        for scheme in ("https://", "http://"):
            session.mount(scheme, self._carrier)
        self._directory_url = directory
        self._client: client.ClientV2 | None = None
        self._asked: _Asked | None = None

    def register(self, contact: str, binding: Binding | None) -> str:
        """Open an account, or find the one this key has; gives its URL.

        The caller has agreed to the terms.
        """
        with _Translated(self._carrier):
            known = self._known()
            external = None
            if binding is not None:
                external = messages.ExternalAccountBinding.from_data(
                    self._key.public_key(), binding.key_id, binding.key.reveal(), known.directory
                )
            wanted = messages.NewRegistration.from_data(
                email=contact or None,
                terms_of_service_agreed=True,
                external_account_binding=external,
            )
            try:
                return str(known.new_account(wanted).uri)
            except errors.ConflictError as there:
                return str(there.location)

    def order(self, account: str, request_pem: bytes) -> list[Proof]:
        """Ask for a certificate; gives what must be answered before `prove`.

        Nothing, where the authority remembers an earlier proof.
        """
        with _Translated(self._carrier):
            known = self._known()
            self._net.account = messages.RegistrationResource(
                uri=account, body=messages.Registration()
            )
            order = known.new_order(request_pem)
            asked = _Asked(order, [], [])
            proofs = []
            for authorization in order.authorizations:
                if authorization.body.status == messages.STATUS_VALID:
                    continue
                asked.waiting.append(authorization)
                found = _by_http(authorization)
                asked.challenges.append(found)
                answer = found.chall.validation(self._key)
                proofs.append(Proof(found.chall.encode("token"), answer))
            self._asked = asked
            return proofs

    def prove(self) -> None:
        """Say that the answers are there."""
        with _Translated(self._carrier):
            for challenge in self._order.challenges:
                self._post(challenge.uri, challenge.chall.response(self._key))

    def proved(self) -> bool:
        """Whether the authority has seen all answers; raises where it saw another one, or none."""
        with _Translated(self._carrier):
            still = []
            for authorization in self._order.waiting:
                newer, _ = self._known().poll(authorization)
                if newer.body.status in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
                    still.append(newer)
                elif newer.body.status != messages.STATUS_VALID:
                    raise AcmeFailed(_why_not(newer))
            self._order.waiting = still
            return not still

    def finish(self) -> None:
        """Ask for the certificate that was proved."""
        with _Translated(self._carrier):
            self._known().begin_finalization(self._order.order)

    def chain(self) -> str | None:
        """The certificate and those above it, as PEM; None while it is being made."""
        with _Translated(self._carrier):
            order = self._order.order
            body = messages.Order.from_json(self._post(order.uri, None).json())
            if body.status == messages.STATUS_INVALID:
                said = _shown(body.error) if body.error is not None else "it does not say why"
                raise AcmeFailed(f"the authority made no certificate: {said}")
            if body.status == messages.STATUS_READY:
                # It was not ready when it was asked to finish (RFC 8555 §7.4).
                self._known().begin_finalization(order)
            if body.status != messages.STATUS_VALID or body.certificate is None:
                return None
            return self._post(body.certificate, None).text

    @property
    def pause_seconds(self) -> float:
        """How long the authority asked us to wait with its last answer."""
        return self._carrier.pause_seconds

    @property
    def _order(self) -> _Asked:
        if self._asked is None:
            raise AcmeFailed("nothing was ordered")
        return self._asked

    def _known(self) -> client.ClientV2:
        """The directory is read once."""
        if self._client is None:
            found = client.ClientV2.get_directory(self._directory_url, self._net)
            self._client = client.ClientV2(found, self._net)
        return self._client

    def _post(self, url: str, body: Any) -> requests.Response:
        return self._net.post(url, body, new_nonce_url=self._known().directory["newNonce"])


class _Carrier(BaseAdapter):
    """Carries what the library wants to send through our own client."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self.pause_seconds = 0.0

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """One request, one answer. What is bounded, trusted and asked is the client's to decide."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        fields = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() in ("content-type", "user-agent", "accept") and isinstance(value, str)
        }
        url = str(request.url)
        answer = self._send(
            str(request.method), url, fields, body if isinstance(body, bytes) else None
        )
        self.pause_seconds = _pause(answer.fields)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.fields)
        response.raw = io.BytesIO(answer.body)
        response.url, response.request = url, request
        return response

    def close(self) -> None:
        """The connections are the client's."""


class _Translated:
    """Whatever the library raises becomes `AcmeFailed` in words."""

    def __init__(self, carrier: _Carrier) -> None:
        self._carrier = carrier

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, messages.Error):
            raise AcmeFailed(
                f"the authority said: {_shown(error)}",
                pause_seconds=self._carrier.pause_seconds,
                unknown_account=error.code == "accountDoesNotExist",
            ) from error
        # A library that reads what strangers wrote raises whatever it happens to stumble over.
        if isinstance(error, Exception) and not isinstance(error, (AcmeFailed, CancelledError)):
            said = f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
            raise AcmeFailed(f"the authority's answer cannot be used ({said})") from error


def _by_http(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.HTTP01):
            return challenge
    raise AcmeFailed("the authority does not offer to look at port 80 (http-01)")


def _why_not(authorization: messages.AuthorizationResource) -> str:
    said = [_shown(each.error) for each in authorization.body.challenges if each.error is not None]
    why = "; ".join(said) or f"its proof is {authorization.body.status.name}"
    return f"the authority did not find our answer: {why}"


def _shown(error: messages.Error) -> str:
    """In the authority's words, which are for people, without what no line may hold."""
    parts = [error.detail or error.description or error.typ or "nothing"]
    parts += [str(each.detail) for each in (error.subproblems or ())[:_MOST_SUBPROBLEMS]]
    text = "; ".join(part for part in parts if part)
    return "".join(c if c.isprintable() else " " for c in text)[:_SHOWN_CHARACTERS].rstrip(". ")


def _pause(fields: Mapping[str, str]) -> float:
    """Seconds; a date is left to our own patience."""
    said = fields.get("retry-after", "").strip()
    return min(float(said), _MOST_PAUSE_SECONDS) if said.isascii() and said.isdigit() else 0.0
