"""the tracking host as an ASGI application: a path in, an answer out, and nothing else there"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

from pillarbox.message.tokens import MAX_TOKEN_CHARACTERS
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.networks import is_within
from pillarbox.services.tracking import answers
from pillarbox.services.tracking.answers import Answer
from pillarbox.services.tracking.visit import Visits
from pillarbox.storage.interface.errors import StorageTrouble

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

Proof = Callable[[str], Awaitable[str | None]]
"""What an authority is answered that asks with a token of its own (RFC 8555 §8.3), if anything."""

MAX_BODY_BYTES: Final = 4096
_ROBOTS: Final = "User-agent: *\nDisallow: /"
_CHALLENGE: Final = "/.well-known/acme-challenge/"
_MOST_CHALLENGE: Final = 200
_FORWARDED: Final = "x-forwarded-for"
_HUNDRED: Final = 100
_BEHIND: Final = re.compile(r"[/.]")

_log = logger("tracking")


class TrackingHost:
    """Answers every request for the host, and none that is not about a token."""

    def __init__(
        self, visits: Visits, metrics: Metrics, proxies: Sequence[str], proof: Proof
    ) -> None:
        """`proxies` are networks that may say on whose behalf they ask. `proof` is asked what an
        authority wants to see of the host.
        """
        self._proof = proof
        self._visits = visits
        self._metrics = metrics
        self._proxies = proxies

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """One request (ASGI)."""
        if scope["type"] != "http":
            return
        fields = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        method = str(scope["method"])
        try:
            answer = await self._answer(scope, method, fields, receive)
        except StorageTrouble as trouble:
            _log.warning("visit.not_answered", reason=str(trouble))
            answer = answers.text(503, "Please try again in a minute.", (("retry-after", "60"),))
        except Exception:
            _log.exception("visit.broke")
            answer = answers.text(500, "Something went wrong here.")
        self._metrics.http_requests[f"{answer.status // _HUNDRED}xx"] += 1
        await _tell(send, answer, head=method == "HEAD")

    async def _answer(
        self, scope: _Message, method: str, fields: dict[str, str], receive: _Receive
    ) -> Answer:
        path = str(scope["path"])
        if path == "/robots.txt":
            return answers.text(200, _ROBOTS)
        if path.startswith(_CHALLENGE):
            token = path.removeprefix(_CHALLENGE)
            said = await self._proof(token) if len(token) <= _MOST_CHALLENGE else None
            return answers.plainly(said) if said is not None else answers.nothing_here()
        # Behind the token comes decoration: a path, or the ending of an image's name.
        text = _BEHIND.split(path[1:], maxsplit=1)[0]
        if not text or len(text) > MAX_TOKEN_CHARACTERS:
            return answers.nothing_here()
        body = b""
        if method not in ("GET", "HEAD"):
            found = await _read(receive)
            if found is None:
                return answers.text(413, "That is too long.", (("connection", "close"),))
            body = found
        asked_path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else path
        address = self._address(scope, fields)
        return await self._visits.answer(method, text, address, fields, body, asked_path)

    def _address(self, scope: _Message, fields: dict[str, str]) -> str:
        """The peer's, or, behind proxies, the last that none of them is."""
        peer = str(scope["client"][0]) if scope.get("client") else ""
        chain = [*fields.get(_FORWARDED, "").split(","), peer]
        address = peer
        for each in reversed(chain):
            plain = _plain(each)
            if not plain:
                break
            address = plain
            if not is_within(self._proxies, plain):
                break
        return address


def _plain(address: str) -> str:
    """An IPv4 address in the clothes of IPv6 without them; empty for what is no address."""
    try:
        ip = ip_address(address.strip()[:64])
    except ValueError:
        return ""
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)


async def _read(receive: _Receive) -> bytes | None:
    """The whole body; None where it is too long."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


async def _tell(send: _Send, answer: Answer, *, head: bool) -> None:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in answer.fields]
    headers.append((b"content-length", str(len(answer.body)).encode("ascii")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
