"""certificates of our host names, from an authority: which there are, asking for one"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.finding import sees_everything
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake, NotPermitted
from pillarbox.policy.certificate import Certificate
from pillarbox.services.certificates.renewals import Renewals
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.clock import format_instant
from pillarbox.terms.errors import Trouble
from pillarbox.terms.setting import InvalidSetting


class CertificateBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which host a certificate is wanted for."""

    host: str


def certificate_view(certificate: Certificate, now_ms: int) -> dict[str, Any]:
    """A certificate as programs see it; its key is nowhere."""

    def moment(at: int) -> str | None:
        return format_instant(at) if at else None

    return {
        "host": certificate.host,
        "state": certificate.standing(now_ms),
        "valid_from": moment(certificate.since_at),
        "valid_until": moment(certificate.until_at),
        "next_try": moment(certificate.due_at),
        "last_try": moment(certificate.tried_at),
        "failures": certificate.failures,
        "words": certificate.words,
    }


async def list_certificates(call: Call) -> Response:
    """All hosts for which a certificate was asked for, by name."""
    read_query(call.request, "limit")
    await _check(call)
    found = await call.rooms.storage.certificates.certificates()
    return answer(page([certificate_view(each, call.now_ms) for each in found]))


async def request_certificate(call: Call) -> Response:
    """Have one asked for; it is there a little later, or there are words why not."""
    read_query(call.request)
    await _check(call)
    body = await call.shape(CertificateBody)
    try:
        found = await _renewals(call).request(body.host)
    except InvalidSetting as wrong:
        raise InvalidRequest([Mistake("/host", wrong.sentence)]) from wrong
    return answer(certificate_view(found, call.now_ms), 202)


async def renew_certificate(call: Call) -> Response:
    """Have one renewed now, whatever is left of its life."""
    read_query(call.request)
    await _check(call)
    host = call.part("host").lower()
    known = await call.rooms.storage.certificates.certificates()
    if all(each.host != host for each in known):
        raise NotFound(
            f"No certificate of {host[:80]} is asked for.",
            fix="Ask for it: pillarbox certificate request HOST",
        )
    return answer(certificate_view(await _renewals(call).request(host), call.now_ms), 202)


async def remove_certificate(call: Call) -> Response:
    """Ask for it no more, and forget its key. It is not revoked: it ends by itself."""
    read_query(call.request)
    await _check(call)
    await call.rooms.storage.certificates.remove(call.part("host").lower())
    return gone()


def _renewals(call: Call) -> Renewals:
    if call.rooms.renewals is None:
        raise Trouble("No authority is asked for certificates here.")
    return call.rooms.renewals


async def _check(call: Call) -> None:
    if not await sees_everything(call):
        raise NotPermitted(
            "Certificates serve all apps and accounts, and this key does not see all of them.",
            fix="Use a key that is good for all apps, or the command line on the machine of a node.",
        )


ENTRIES: Final = (
    Entry("GET", "/certificates", Verb.READ, list_certificates),
    Entry("POST", "/certificates", Verb.MANAGE, request_certificate),
    Entry("POST", "/certificates/{host}/renew", Verb.MANAGE, renew_certificate),
    Entry("DELETE", "/certificates/{host}", Verb.MANAGE, remove_certificate),
)
