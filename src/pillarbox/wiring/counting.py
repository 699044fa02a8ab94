"""answers of the HTTP faces, counted by class of status"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pillarbox.observe.metrics import Counts


def counting(app: ASGIApp, answers: Counts) -> ASGIApp:
    """The same application; its answers are counted as ``2xx``, ``4xx`` and so on."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                answers[f"{message['status'] // 100}xx"] += 1
            await send(message)

        await app(scope, receive, say)

    return counted
