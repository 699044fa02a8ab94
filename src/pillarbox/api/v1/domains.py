"""domains: which an account has proved, which records they should have, and how those stand"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import InvalidField, Names, given
from pillarbox.api.finding import find_account, visible_accounts
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import NothingThere, RequestError
from pillarbox.policy.directory import Account
from pillarbox.policy.dkim_key import DkimKey
from pillarbox.policy.dns_hosts import entry_of, hint_for, host_of
from pillarbox.policy.domain_findings import Checked, Finding, Seen, Wanted
from pillarbox.policy.domain_records import wanted_records
from pillarbox.policy.errors import WrongState
from pillarbox.policy.record_files import csv_lines, terraform_lines, zone_lines
from pillarbox.policy.sending_domain import SendingDomain, folded
from pillarbox.services.domains.look import DomainLook
from pillarbox.services.domains.making import new_domain, new_keys
from pillarbox.terms.clock import format_instant
from pillarbox.terms.errors import InvalidId, Trouble
from pillarbox.terms.hostname import InvalidHostname, display_domain, parse_domain
from pillarbox.terms.ids import format_object_id, parse_object_id

_SHOWN: Final = 60
_MOST_DOMAINS: Final = 1000
_LOOK_SECONDS: Final = 40.0


def domain_name(text: str) -> str:
    """A domain in A-labels, with a dot in it. Raises `InvalidField`."""
    try:
        name = parse_domain(text.strip().removesuffix("."))
    except InvalidHostname as error:
        raise InvalidField(error.sentence) from None
    if "." not in name:
        raise InvalidField("is a domain such as example.com")
    return name


def _optional(text: str) -> str:
    return domain_name(text) if text else ""


class DomainChange(Struct):
    """What may be said of a domain; an empty host name takes it away."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"bounce_host": _optional, "tracking_host": _optional}

    covers_below: bool | UnsetType = UNSET
    """Whether it is good for authors at names below it, and signs for them."""
    bounce_host: Names | UnsetType = UNSET
    tracking_host: Names | UnsetType = UNSET
    autoconfig: bool | UnsetType = UNSET


class NewDomain(DomainChange, kw_only=True):
    """A domain to be proved; its account is the caller's own unless the owner names another."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"name": domain_name, **DomainChange.CHECKS}

    name: Names
    account: Names | UnsetType = UNSET


def domain_view(domain: SendingDomain, accounts: Iterable[Account]) -> dict[str, Any]:
    """A domain as programs see it."""
    owners = {account.id: account.name for account in accounts}
    return {
        "id": format_object_id("dom", domain.id),
        "name": domain.name,
        "shown_as": display_domain(domain.name),
        "account": owners.get(domain.account, format_object_id("acc", domain.account)),
        "proved": bool(domain.proved_at),
        "proved_at": _instant(domain.proved_at),
        "covers_below": domain.covers_below,
        "bounce_host": domain.bounce_host,
        "tracking_host": domain.tracking_host,
        "tracking_found": domain.tracking_found,
        "autoconfig": domain.autoconfig,
        "created_at": format_instant(domain.created_at),
    }


def key_view(key: DkimKey) -> dict[str, Any]:
    """A signing key as programs see it; its private half is never shown."""
    return {
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state,
        "imported": key.imported,
        "record": key.wanted_record,
        "created_at": format_instant(key.created_at),
        "found_at": _instant(key.found_at),
        "active_at": _instant(key.active_at),
        "retired_at": _instant(key.retired_at),
        "revoked_at": _instant(key.revoked_at),
    }


def finding_view(finding: Finding) -> dict[str, Any]:
    """A record: what should be there, and what is."""
    return {
        **_wanted_view(finding.wanted, finding.value),
        "verdict": finding.verdict,
        "words": finding.words,
        "found": finding.found,
        "name_servers": [_seen_view(one) for one in finding.seen],
    }


def checked_view(checked: Checked | None) -> dict[str, Any] | None:
    """What a look has found."""
    if checked is None:
        return None
    return {
        "at": format_instant(checked.at),
        "ready": checked.ready,
        "records": [finding_view(each) for each in checked.findings],
    }


async def list_domains(call: Call) -> Response:
    """Those of the accounts the caller sees, by name."""
    call.caller.require_whole_account()
    read_query(call.request, "limit")
    accounts = await visible_accounts(call)
    found = await call.rooms.storage.domains.all_checked()
    items = []
    for domain in await _visible(call):
        checked = found.get(domain.id)
        states: dict[str, str] = {}
        for one in checked.findings if checked is not None else ():
            worse = states.get(one.wanted.kind, "ok") != "ok" or not one.wanted.needed
            if one.wanted.kind not in states or not worse:
                states[one.wanted.kind] = one.verdict
        view = domain_view(domain, accounts)
        view["records"] = states
        view["checked_at"] = format_instant(checked.at) if checked is not None else None
        items.append(view)
    return answer(page(items))


async def add_domain(call: Call) -> Response:
    """A domain with fresh keys of both kinds; it is good for nothing until its record is found."""
    call.caller.require_whole_account()
    values = given(await call.shape(NewDomain))
    named = values.pop("account", None)
    account = await call.account() if named is None else await find_account(call, named)
    name = values.pop("name")
    if sum(each.account == account.id for each in await _visible(call)) >= _MOST_DOMAINS:
        raise WrongState(
            f"An account has at most {_MOST_DOMAINS} sending domains.",
            fix="Remove those that are not used any more; one covers what lies below it.",
        )
    domain = replace(new_domain(name, account.id, call.now_ms), **values)
    domains = call.rooms.storage.domains
    await domains.save_domain(domain)
    await domains.add_keys(domain.id, await new_keys(name, call.now_ms))
    return answer(await _whole(call, domain), 201)


async def show_domain(call: Call) -> Response:
    """A domain with its keys, its records and what the last look found of them."""
    read_query(call.request)
    return answer(await _whole(call, await find_domain(call)))


async def change_domain(call: Call) -> Response:
    """What is not named stays as it is. Mail taken before keeps what held for it."""
    read_query(call.request)
    before = await find_domain(call)
    domain = replace(before, **given(await call.shape(DomainChange)))
    if domain.tracking_host != before.tracking_host:
        domain = replace(domain, tracking_found=False)
    await call.rooms.storage.domains.save_domain(domain)
    await call.rooms.storage.domains.look_at(domain.id, 0)
    if domain.tracking_host != before.tracking_host:
        await _look(call).forget_host(before.tracking_host)
    return answer(await _whole(call, domain))


async def remove_domain(call: Call) -> Response:
    """With its keys. Mail that waits leaves without their signatures."""
    read_query(call.request)
    domain, look = await find_domain(call), call.rooms.domain_look
    await call.rooms.storage.domains.remove_domain(domain.id)
    if look is not None:
        await look.forget_host(domain.tracking_host)
    return gone()


async def read_records(call: Call) -> Response:
    """The records to publish, also as files, and how they are entered where the zone lies; nobody is
    asked for what is there.
    """
    read_query(call.request)
    domain = await find_domain(call)
    records, values = await _wanted(call, domain)
    items, dns = await _entered(call, domain, records, values)
    return answer(
        {
            **page(items),
            "dns": dns,
            "zone": zone_lines(records, values),
            "csv": csv_lines(records, values),
            "terraform": terraform_lines(domain.name, records, values),
        }
    )


async def check_domain(call: Call) -> Response:
    """Ask every name server now, and act on what they say. An answer takes some seconds."""
    read_query(call.request)
    domain = await find_domain(call)
    look = _look(call)
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            looked = await look.look(domain)
    except TimeoutError:
        raise Trouble("The name servers did not answer in time.", retry_after_seconds=30) from None
    return answer(await _whole(call, looked.domain))


async def find_domain(call: Call) -> SendingDomain:
    """The domain of the path, by name or id, of an account the caller sees. Raises `NothingThere`."""
    call.caller.require_whole_account()
    text = call.part("domain")
    try:
        wanted = parse_object_id("dom", text)
    except InvalidId:
        wanted = None
    name = folded(text)
    found = [one for one in await _visible(call) if one.id == wanted or one.name == name]
    if not found:
        raise NothingThere(
            f"There is no sending domain {text[:_SHOWN]!r}.",
            fix="List them: pillarbox domain list; or add it: pillarbox domain add NAME",
        )
    if len(found) > 1:
        ids = ", ".join(format_object_id("dom", one.id) for one in found)
        raise RequestError(
            f"Several accounts have {name} as a domain.", code="invalid_value", status=409,
            fix=f"Use the id: {ids}",
        )  # fmt: skip
    return found[0]


async def _visible(call: Call) -> list[SendingDomain]:
    mine = call.caller.key
    domains = await call.rooms.storage.domains.domains()
    return [each for each in domains if mine is None or each.account == mine.account]


async def _whole(call: Call, domain: SendingDomain) -> dict[str, Any]:
    domains = call.rooms.storage.domains
    records, values = await _wanted(call, domain)
    items, dns = await _entered(call, domain, records, values)
    return {
        **domain_view(domain, await visible_accounts(call)),
        "keys": [key_view(key) for key in await domains.keys(domain.id)],
        "records": items,
        "dns": dns,
        "checked": checked_view(await domains.checked(domain.id)),
    }


async def _wanted(call: Call, domain: SendingDomain) -> tuple[list[Wanted], list[str]]:
    """The records, and of each what to publish: merged with what was there at the last look."""
    domains = call.rooms.storage.domains
    records = wanted_records(domain, await domains.keys(domain.id), _look(call).service)
    checked = await domains.checked(domain.id)
    merged = {one.wanted: one.value for one in checked.findings} if checked is not None else {}
    return records, [merged.get(record, record.value) for record in records]


async def _entered(
    call: Call, domain: SendingDomain, records: list[Wanted], values: list[str]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The records with what is entered as their names, and who answers for the zone, where known."""
    zone = await _look(call).zone(domain.name)
    items = [
        {**_wanted_view(one, value), "entry": entry_of(one.name, zone) if zone else None}
        for one, value in zip(records, values, strict=True)
    ]
    if zone is None:
        return items, None
    host = host_of(zone)
    return items, {
        "zone": zone.name,
        "host": host.name if host is not None else None,
        "name_servers": zone.servers,
        "hint": hint_for(zone, [one.name for one in records]),
    }


def _look(call: Call) -> DomainLook:
    if call.rooms.domain_look is None:
        raise Trouble("Nobody looks up records here.")
    return call.rooms.domain_look


def _wanted_view(wanted: Wanted, value: str) -> dict[str, Any]:
    return {
        "kind": wanted.kind,
        "name": wanted.name,
        "type": wanted.type,
        "value": value,
        "needed": wanted.needed,
        "selector": wanted.selector or None,
        "why": wanted.why,
    }


def _seen_view(seen: Seen) -> dict[str, Any]:
    return {
        "server": seen.server,
        "found": seen.found,
        "alias": seen.alias or None,
        "ttl_seconds": seen.ttl_seconds,
        "trouble": seen.trouble or None,
    }


def _instant(at_ms: int) -> str | None:
    return format_instant(at_ms) if at_ms else None


ENTRIES: Final = (
    Entry("GET", "/domains", Verb.READ, list_domains),
    Entry("POST", "/domains", Verb.MANAGE, add_domain),
    Entry("GET", "/domains/{domain}", Verb.READ, show_domain),
    Entry("PATCH", "/domains/{domain}", Verb.MANAGE, change_domain),
    Entry("DELETE", "/domains/{domain}", Verb.MANAGE, remove_domain),
    Entry("GET", "/domains/{domain}/records", Verb.READ, read_records),
    Entry("POST", "/domains/{domain}/check", Verb.MANAGE, check_domain),
)
