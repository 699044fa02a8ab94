"""a token endpoint that gives access tokens as it is told: fresh ones, refusals, rubbish"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.doubles.web_server import WebReply, WebRequest, WebServer


class TokenEndpoint(WebServer):
    """Gives ``token-1``, ``token-2`` and so on, each valid until the next is given.

    `answer_next` and `answer_always` put another reply in its place; `tokens` is for a `BadServer`.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        username: str = "relay@example.com",
        expires_in: object = 3600,
        rotates: bool = False,
    ) -> None:
        """With `rotates` each answer holds a new refresh token too."""
        super().__init__(self._told, context)
        self.tokens: dict[str, str] = {}
        """User name to the token that is valid now."""
        self.username = username
        self.expires_in = expires_in
        self.rotates = rotates
        self.given = 0
        self.answer_next: list[WebReply] = []
        self.answer_always: WebReply | None = None
        self.waits: asyncio.Event | None = None
        """Good answers are held back until then."""
        self.makes: Callable[[int], str] = "token-{}".format

    @property
    def asked(self) -> list[dict[str, str]]:
        """The forms that were posted."""
        return [dict(parse_qsl(request.body.decode())) for request in self.requests]

    def _told(self, request: WebRequest) -> WebReply:
        if self.answer_next:
            return self.answer_next.pop(0)
        if self.answer_always is not None:
            return self.answer_always
        self.given += 1
        token = self.makes(self.given)
        self.tokens[self.username] = token
        document: dict[str, Any] = {"token_type": "Bearer", "access_token": token}
        if self.expires_in is not None:
            document["expires_in"] = self.expires_in
        if self.rotates:
            document["refresh_token"] = f"refresh-{self.given}"
        return as_json(document, waits=self.waits)


def as_json(
    document: Mapping[str, Any], status: int = 200, waits: asyncio.Event | None = None
) -> WebReply:
    """A document as a reply."""
    fields = {"Content-Type": "application/json"}
    return WebReply(status, json.dumps(document).encode(), fields, waits=waits)


def refusal(
    error: str, description: str = "", status: int = 400, fields: Mapping[str, str] | None = None
) -> WebReply:
    """A refusal as RFC 6749 §5.2 has it."""
    body = json.dumps({"error": error, "error_description": description}).encode()
    return WebReply(status, body, {"Content-Type": "application/json", **(fields or {})})
