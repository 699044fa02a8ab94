"""certificates from an authority by ACME (RFC 8555): accounts, orders, proofs over port 80

One host name is proved at a time, with http-01: the authority fetches a text from port 80 of that
name, where any of our nodes answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pillarbox import __version__
from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.net.web_client import WebAnswer, WebClient
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed
from pillarbox.terms.hostname import InvalidHostname, parse_domain
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting, setting

if TYPE_CHECKING:
    from pillarbox.net.acme_exchange import Exchange

T = TypeVar("T")

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
_AGENT: Final = f"Pillarbox/{__version__}"
_REQUEST_SECONDS: Final = 30.0
_WHOLE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 1.0
_LONGEST_LOOK_SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 256 * 1024
_MOST_CERTIFICATES: Final = 10

Publish = Callable[[str, str], Awaitable[None]]
"""Token and answer; when it is done, every node answers so."""


@dataclass(frozen=True, slots=True)
class AcmeConfig:
    """Certificates for our own host names, from an authority that gives them by ACME."""

    directory: str = setting(
        LETS_ENCRYPT, "Where the authority is found: the https address of its ACME directory."
    )
    agree_terms: bool = setting(
        False, "You have read the authority's terms of service and agree; nothing is asked before."
    )
    contact: str = setting("", "Your mail address, for the authority alone; may be empty.")
    hosts: tuple[str, ...] = setting(
        (), "Host names that are to have a certificate, besides those asked for by command."
    )
    tracking_hosts: bool = setting(
        True,
        "Whether the tracking host of a sending domain gets one as soon as its record leads here; "
        "only where tracking_host.listen_tls shows it, and links lead to https.",
    )
    listen: str = setting(
        "0.0.0.0", "Address on which the authority's look at port 80 is answered; :: has IPv6 too."
    )
    ports: tuple[int, ...] = setting(
        (), "Ports on which that look is answered, usually 80; empty: something else does it."
    )
    ca_file: str = setting(
        "", "PEM file with the authorities trusted for that address; empty: those of this machine."
    )
    binding_id: str = setting(
        "", "Key identifier for an account, where the authority gave you one."
    )
    binding_key: Secret = setting(
        Secret(""), "The key that came with it, in base64url.", secret=True
    )

    def __post_init__(self) -> None:
        if urlsplit(self.directory).scheme != "https":
            raise InvalidSetting("directory is an https address")
        if bool(self.binding_id) != bool(self.binding_key.reveal()):
            raise InvalidSetting("binding_id and binding_key come together")
        if self.hosts and not self.agree_terms:
            raise InvalidSetting(
                "hosts needs agree_terms = true: the authority has terms of service"
            )
        for host in self.hosts:
            certifiable(host)


class Issued(NamedTuple):
    """A certificate that was just made. Instants are milliseconds."""

    chain: str
    key: Secret
    since_at: int
    until_at: int


def certifiable(host: str) -> str:
    """A host name, in A-labels, that port 80 can prove. Raises `InvalidSetting`."""
    text = host.strip().rstrip(".")
    if text.startswith("*"):
        raise InvalidSetting(
            f"{text[:80]} stands for many names, which port 80 cannot prove; name each host"
        )
    try:
        found = parse_domain(text)
    except InvalidHostname as wrong:
        raise InvalidSetting(f"{wrong.sentence}; a certificate is for a host name") from wrong
    if "." not in found:
        raise InvalidSetting(f"{found} has no domain; authorities know public names alone")
    return found


def new_account_key() -> Secret:
    """For an account that is to be opened, as PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


class AcmeClient:
    """Asks one authority. Every failure is `AcmeFailed`."""

    def __init__(
        self, config: AcmeConfig, web: WebClient, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        """`web` must trust the authority's web server."""
        self.directory = config.directory
        self._config = config
        self._web = web
        self._look_seconds = look_seconds
        self._asking: set[asyncio.Task[WebAnswer]] = set()
        self._closed = False

    @property
    def asking(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._asking)

    async def close(self) -> None:
        """Break off what is being asked: threads wait for it."""
        self._closed = True
        for task in self._asking:
            task.cancel()
        await self._web.close()

    async def open_account(self, key: Secret) -> str:
        """The URL of our account with this key, opened where there is none."""
        from pillarbox.net.acme_exchange import Binding

        config = self._config
        binding = Binding(config.binding_id, config.binding_key) if config.binding_id else None

        async def opened() -> str:
            exchange = await self._begin(key)
            return await asyncio.to_thread(exchange.register, config.contact, binding)

        return await _in_time(opened())

    async def obtain(self, host: str, account: str, key: Secret, publish: Publish) -> Issued:
        """A certificate for `host`, with a key of its own.

        `publish` is called with what the authority is going to look for.
        """
        return await _in_time(self._obtain(host, account, key, publish))

    async def _obtain(self, host: str, account: str, key: Secret, publish: Publish) -> Issued:
        exchange = await self._begin(key)
        own_key = ec.generate_private_key(ec.SECP256R1())
        for proof in await asyncio.to_thread(exchange.order, account, _request(host, own_key)):
            await publish(proof.token, proof.answer)
        await asyncio.to_thread(exchange.prove)
        await self._until(exchange, exchange.proved)
        await asyncio.to_thread(exchange.finish)
        chain = await self._until(exchange, exchange.chain)
        return _checked(host, chain, own_key)

    async def _begin(self, key: Secret) -> Exchange:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _WHOLE_SECONDS

        def send(method: str, url: str, fields: dict[str, str], body: bytes | None) -> WebAnswer:
            # Whoever waited for the thread may be gone.
            if loop.time() > ends_at:
                raise AcmeFailed("the authority wants too much to be done")
            asked = asyncio.run_coroutine_threadsafe(self._sent(method, url, fields, body), loop)
            return asked.result(2 * _REQUEST_SECONDS)

        def begin() -> Exchange:
            from pillarbox.net.acme_exchange import Exchange

            return Exchange(self._config.directory, key, send, _AGENT)

        return await asyncio.to_thread(begin)

    async def _sent(
        self, method: str, url: str, fields: dict[str, str], body: bytes | None
    ) -> WebAnswer:
        if self._closed:
            raise AcmeFailed("the authority was not asked, because Pillarbox is being stopped")
        task = asyncio.ensure_future(self._answer(method, url, fields, body))
        self._asking.add(task)
        try:
            return await task
        except (WebFailed, WebAddressInvalid) as wrong:
            raise AcmeFailed(f"the authority cannot be asked: {wrong.sentence}") from wrong
        finally:
            self._asking.discard(task)

    async def _answer(
        self, method: str, url: str, fields: dict[str, str], body: bytes | None
    ) -> WebAnswer:
        seconds, most = _REQUEST_SECONDS, _ANSWER_BYTES
        if method == "POST":
            sent = body or b""
            return await self._web.post(url, sent, fields=fields, seconds=seconds, max_bytes=most)
        ask = self._web.head if method == "HEAD" else self._web.get
        return await ask(url, fields=fields, seconds=seconds, max_bytes=most)

    async def _until(self, exchange: Exchange, look: Callable[[], T | None]) -> T:
        """Look until there is something to see."""
        pause = self._look_seconds
        while not (found := await asyncio.to_thread(look)):
            asked = min(exchange.pause_seconds, _LONGEST_LOOK_SECONDS)
            await asyncio.sleep(max(pause, asked))
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
        return found


async def _in_time(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            return await asked
    except TimeoutError:
        raise AcmeFailed(
            f"the authority did not come to an end within {_WHOLE_SECONDS:g} seconds"
        ) from None


def _request(host: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate signing request, as PEM."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def _checked(host: str, chain: str, key: ec.EllipticCurvePrivateKey) -> Issued:
    """What the authority sent, if it is a certificate for this host and this key."""
    try:
        found = x509.load_pem_x509_certificates(chain.encode())
        leaf = found[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        fits = host in names.get_values_for_type(x509.DNSName)
    except (ValueError, IndexError, x509.ExtensionNotFound) as error:
        raise AcmeFailed("what the authority sent is no certificate") from error
    if not fits or leaf.public_key() != key.public_key() or len(found) > _MOST_CERTIFICATES:
        raise AcmeFailed(f"the authority sent a certificate that is not the one for {host}")
    plain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in found).decode()
    return Issued(
        plain, _pem(key),
        round(leaf.not_valid_before_utc.timestamp() * 1000),
        round(leaf.not_valid_after_utc.timestamp() * 1000),
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    )
