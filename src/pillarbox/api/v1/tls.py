"""TLS: what became of sessions with the hosts of domains that want to know"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import sees_everything
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake, NotPermitted
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.policy.tls_report import Counted, day_of
from pillarbox.terms.clock import from_ms
from pillarbox.terms.errors import Trouble
from pillarbox.terms.hostname import InvalidHostname, parse_domain


def counted_view(one: Counted) -> dict[str, Any]:
    """Sessions that went one way, as programs see them."""
    return {
        "domain": one.policy.domain,
        "policy": one.policy.kind,
        "result": one.result or "successful",
        "ok": not one.result,
        "host": one.host,
        "address": one.address,
        "sessions": one.sessions,
    }


def plan_view(host: str, plan: TlsPlan) -> dict[str, Any]:
    """What is asked of one host, as programs see it."""
    return {
        "host": host,
        "demand": plan.demand,
        "may_be_clear": plan.may_fall_back,
        "testing": plan.testing,
        "refused": bool(plan.refusal),
        "words": plan.words,
        "tlsa": [record.text for record in plan.tlsa],
        "reported": plan.reported is not None,
    }


async def read_report(call: Call) -> Response:
    """What was counted on a day (UTC), today where none is named; for one domain or for all."""
    query = read_query(call.request, "day", "domain")
    if not await sees_everything(call):
        raise NotPermitted(
            "Sessions belong to all apps and accounts, and this key does not see all of them.",
            fix="Use a key that is good for all apps, or the command line on the machine of a node.",
        )
    day_ms = _day(query["day"]) if "day" in query else day_of(call.now_ms)
    domain = query.get("domain", "").strip().rstrip(".").lower()
    counted = await call.rooms.storage.tls.counted(day_ms, domain)
    day = from_ms(day_ms).strftime("%Y-%m-%d")
    return answer({"day": day} | page([counted_view(one) for one in counted]))


async def read_policy(call: Call) -> Response:
    """What is asked of the TLS of a domain's hosts, as mail to it would be sent now."""
    read_query(call.request)
    domain = _domain(call.part("domain"))
    if call.rooms.tls_of is None:
        raise Trouble("Nobody looks up hosts here.")
    plans = await call.rooms.tls_of(domain)
    return answer({"domain": domain} | page([plan_view(host, plan) for host, plan in plans]))


def _domain(text: str) -> str:
    try:
        return parse_domain(text.strip().rstrip("."))
    except InvalidHostname as wrong:
        raise InvalidRequest([Mistake("", f"domain: {wrong.sentence}")]) from wrong


def _day(text: str) -> int:
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest([Mistake("", "day is a date such as 2026-11-05")]) from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()) * 1000


ENTRIES: Final = (
    Entry("GET", "/tls/report", Verb.READ, read_report),
    Entry("GET", "/tls/policies/{domain}", Verb.READ, read_policy),
)
