"""autoconfiguration: what mail programs ask for by themselves, given an address

Thunderbird, K-9 and others fetch a ``config-v1.1.xml``; Outlook posts to ``autodiscover.xml``. Both
come without a credential and get one answer whoever they ask for: that an address has a login here
is not to be learned. The user name in it is the address itself, so people who shall set themselves
up get a login whose user name is their address.

Pillarbox has no mailboxes. Thunderbird throws away a configuration without an incoming server, and
Outlook makes no account of one; ``connect.incoming`` names the server that goes with it. Without it
the outgoing one is told alone, for programs that can do something with that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.autodiscover_request import InvalidDiscovery, read_discovery
from pillarbox.api.bodies import read_body
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.api.rooms import Rooms
from pillarbox.policy.connecting import Incoming, Security, WaysIn
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.clock import from_ms

Endpoint = Callable[[Request], Awaitable[Response]]

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
CONFIG_PATHS: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
DISCOVER_PATHS: Final = (
    # Paths have a case; programs differ in theirs.
    "/autodiscover/autodiscover.xml",
    "/Autodiscover/Autodiscover.xml",
    "/AutoDiscover/AutoDiscover.xml",
    "/Autodiscover/autodiscover.xml",
)

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_MAX_BODY_BYTES: Final = 16 * 1024
_BODY_SECONDS: Final = 20.0
_SOCKETS: Final = {Security.TLS: "SSL", Security.STARTTLS: "STARTTLS"}
_ENCRYPTIONS: Final = {Security.TLS: "SSL", Security.STARTTLS: "TLS"}
_ENVELOPE: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_INVALID, _NO_PROVIDER = 600, 601


class AutoconfigRoutes:
    """The answers to mail programs; no credential is asked for."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def config(self, request: Request) -> Response:
        """Mozilla's form. Raises `InvalidRequest` and `NoWayIn`."""
        domain = self._rooms.hostname
        given = request.query_params.get("emailaddress", "")
        if given:
            try:
                domain = parse_address(given).domain
            except InvalidAddress as wrong:
                raise InvalidRequest([Mistake("", f"emailaddress: {wrong.sentence}")]) from None
        ways, incoming = self._rooms.ways_in(), self._rooms.connect.incoming_server
        return _xml(_config(domain, self._rooms.hostname, ways, incoming))

    async def discover(self, request: Request) -> Response:
        """Outlook's form, whose mistakes are answered in its own words. Raises `NoWayIn`."""
        body = await read_body(request, limit=_MAX_BODY_BYTES, seconds=_BODY_SECONDS)
        try:
            asked = read_discovery(body)
            address = parse_address(asked.address).text
        except (InvalidDiscovery, InvalidAddress):
            return _xml(self._error(_INVALID, "Invalid Request"))
        if asked.schema != _OUTLOOK:
            # A phone that looks for Exchange must not take this for one.
            return _xml(self._error(_NO_PROVIDER, "Provider is not available"))
        ways, incoming = self._rooms.ways_in(), self._rooms.connect.incoming_server
        return _xml(_settings(address, ways, incoming))

    def _error(self, code: int, words: str) -> Iterator[str]:
        at = from_ms(self._rooms.clock.now_ms())
        yield f'<Autodiscover xmlns="{_ENVELOPE}">'
        yield "  <Response>"
        yield f'    <Error Time="{at:%H:%M:%S}.{at:%f}" Id="0">'
        yield f"      <ErrorCode>{code}</ErrorCode>"
        yield f"      <Message>{words}</Message>"
        yield "      <DebugData />"
        yield "    </Error>"
        yield "  </Response>"
        yield "</Autodiscover>"


def _config(domain: str, name: str, ways: WaysIn, incoming: Incoming | None) -> Iterator[str]:
    yield '<clientConfig version="1.1">'
    yield f"  <emailProvider id={quoteattr(domain)}>"
    yield f"    <domain>{escape(domain)}</domain>"
    yield f"    <displayName>{escape(name)}</displayName>"
    yield f"    <displayShortName>{escape(name)}</displayShortName>"
    if incoming is not None:
        host, port, security = incoming.host, incoming.port, incoming.security
        yield from _server(f'incomingServer type="{incoming.kind}"', host, port, security)
    for way in ways.ways:
        yield from _server('outgoingServer type="smtp"', ways.host, way.port, way.security)
    yield "  </emailProvider>"
    yield "</clientConfig>"


def _server(element: str, host: str, port: int, security: Security) -> Iterator[str]:
    yield f"    <{element}>"
    yield f"      <hostname>{escape(host)}</hostname>"
    yield f"      <port>{port}</port>"
    yield f"      <socketType>{_SOCKETS[security]}</socketType>"
    yield "      <authentication>password-cleartext</authentication>"
    # The program fills it in: what was asked with is not repeated.
    yield "      <username>%EMAILADDRESS%</username>"
    yield f"    </{element.partition(' ')[0]}>"


def _settings(address: str, ways: WaysIn, incoming: Incoming | None) -> Iterator[str]:
    yield f'<Autodiscover xmlns="{_ENVELOPE}">'
    yield f'  <Response xmlns="{_OUTLOOK}">'
    yield "    <Account>"
    yield "      <AccountType>email</AccountType>"
    yield "      <Action>settings</Action>"
    if incoming is not None:
        kind, host, port = incoming.kind.upper(), incoming.host, incoming.port
        yield from _protocol(kind, address, host, port, incoming.security)
    way = ways.ways[0]
    yield from _protocol("SMTP", address, ways.host, way.port, way.security)
    yield "    </Account>"
    yield "  </Response>"
    yield "</Autodiscover>"


def _protocol(kind: str, address: str, host: str, port: int, security: Security) -> Iterator[str]:
    yield "      <Protocol>"
    yield f"        <Type>{kind}</Type>"
    yield f"        <Server>{escape(host)}</Server>"
    yield f"        <Port>{port}</Port>"
    yield "        <DomainRequired>off</DomainRequired>"
    yield f"        <LoginName>{escape(address)}</LoginName>"
    yield "        <SPA>off</SPA>"
    yield "        <SSL>on</SSL>"
    # Overrules SSL where it is understood; TLS is Outlook's word for STARTTLS.
    yield f"        <Encryption>{_ENCRYPTIONS[security]}</Encryption>"
    yield "        <AuthRequired>on</AuthRequired>"
    if kind == "SMTP":
        yield "        <UsePOPAuth>off</UsePOPAuth>"
        yield "        <SMTPLast>off</SMTPLast>"
    yield "      </Protocol>"


def _xml(lines: Iterator[str]) -> Response:
    return Response(_DECLARATION + "\n".join(lines) + "\n", media_type=MEDIA_TYPE)
