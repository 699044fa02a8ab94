"""keys of domains: made, imported, rotated with overlap, retired, revoked"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check, read_shape
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import InvalidField, Short
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.api.v1.domains import find_domain, key_view
from pillarbox.message.dkim import Algorithm
from pillarbox.message.errors import UnusableKey
from pillarbox.policy.dkim_key import DkimKey, KeyAct, KeyState, activated, find_key
from pillarbox.policy.errors import WrongState
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.services.domains.making import ALGORITHMS, imported_key, new_keys
from pillarbox.terms.secret import Secret

_MOST_KEYS: Final = 20
_HEARD_MS: Final = 60_000
"""After so long every node has heard that a key is retired, and names it no more."""
_SELECTOR: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_NAME_OCTETS: Final = 200
_KINDS: Final = {"rsa": Algorithm.RSA, "ed25519": Algorithm.ED25519}


def selector(text: str) -> str:
    """Labels of a host name, in lower case (RFC 6376 §3.1). Raises `InvalidField`."""
    folded = text.strip().lower()
    if len(folded) > _NAME_OCTETS or not _SELECTOR.fullmatch(folded):
        raise InvalidField("is made of letters, digits and hyphens, such as mail2026")
    return folded


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise InvalidField("is rsa or ed25519")
    return text


class NewKey(Struct):
    """A key to be made, or one in PEM that was used elsewhere before."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"selector": selector, "algorithm": _kind}

    algorithm: Short | UnsetType = UNSET
    selector: Annotated[str, Meta(max_length=_NAME_OCTETS)] | UnsetType = UNSET
    private_key: Annotated[str, Meta(max_length=16_384)] | UnsetType = UNSET


class Activation(Struct):
    """Whether a key shall sign although its record was not found."""

    anyway: bool = False


async def list_keys(call: Call) -> Response:
    """Of a domain, by selector."""
    read_query(call.request, "limit")
    domain = await find_domain(call)
    return answer(page([key_view(key) for key in await _keys(call, domain)]))


async def add_key(call: Call) -> Response:
    """One more, which signs when its record was found. Its private half is shown to nobody."""
    domain = await find_domain(call)
    shape = await call.shape(NewKey)
    _check_room(await _keys(call, domain), 1)
    if isinstance(shape.private_key, str):
        if not isinstance(shape.selector, str):
            raise InvalidRequest([Mistake("/selector", "is missing")])
        try:
            made = await imported_key(
                domain.name, shape.selector, Secret(shape.private_key), call.now_ms
            )
        except UnusableKey as error:
            raise InvalidRequest([Mistake("/private_key", error.sentence)]) from error
    else:
        kind = _KINDS[shape.algorithm] if isinstance(shape.algorithm, str) else Algorithm.RSA
        wanted = shape.selector if isinstance(shape.selector, str) else ""
        (made,) = await new_keys(domain.name, call.now_ms, [kind], selector=wanted)
    await call.rooms.storage.domains.add_keys(domain.id, [made])
    await call.rooms.storage.domains.look_at(domain.id, 0)
    return answer(key_view(made[0]), 201)


async def rotate_keys(call: Call) -> Response:
    """A successor for each key that signs. The old ones go on until the records of the new ones
    have been found for as long as the setting says, and then sign what named them before.
    """
    read_query(call.request)
    domain = await find_domain(call)
    keys = await _keys(call, domain)
    at_work = {key.algorithm for key in keys if key.state is KeyState.ACTIVE}
    waiting = [key for key in keys if key.state is KeyState.PENDING]
    if any(key.algorithm in at_work for key in waiting):
        names = ", ".join(key.selector for key in waiting)
        raise WrongState(
            f"Successors are waiting for their records already: {names}.",
            fix=f"Publish their records, or remove them. See: pillarbox domain check {domain.name}",
        )
    taken = {key.algorithm for key in waiting}
    wanted = [each for each in ALGORITHMS if each not in taken]
    _check_room(keys, len(wanted))
    made = await new_keys(domain.name, call.now_ms, wanted)
    await call.rooms.storage.domains.add_keys(domain.id, made)
    await call.rooms.storage.domains.look_at(domain.id, 0)
    return answer(page([key_view(key) for key, _ in made]), 201)


async def activate_key(call: Call) -> Response:
    """It signs new mail from now on, and the one of its kind that did so before is retired."""
    domain, keys, chosen = await _chosen(call)
    body = await call.body()
    shape = read_shape(body, Activation) if body.strip() else Activation()
    if not (chosen.found_at or shape.anyway):
        raise WrongState(
            f"The record of the key {chosen.selector} was not found, so nobody could check what it "
            "signs.",
            fix=f"Publish it, then: pillarbox domain check {domain.name}",
        )
    return await _save(call, domain, activated(keys, chosen.selector, call.now_ms))


async def retire_key(call: Call) -> Response:
    """No new mail is signed with it; what names it already still is."""
    domain, _, chosen = await _chosen(call)
    after = chosen.after(KeyAct.RETIRE, call.now_ms)
    return await _save(call, domain, [after] if after is not None else [])


async def revoke_key(call: Call) -> Response:
    """Nothing is signed with it any more, not even mail that waits; its record is to be emptied."""
    domain, _, chosen = await _chosen(call)
    after = chosen.after(KeyAct.REVOKE, call.now_ms)
    return await _save(call, domain, [after] if after is not None else [])


async def remove_key(call: Call) -> Response:
    """Gone for good. Refused while mail waits that a retired key may have to sign."""
    read_query(call.request)
    domain, _, chosen = await _chosen(call)
    chosen.after(KeyAct.REMOVE, call.now_ms)
    domains = call.rooms.storage.domains
    last_ms = chosen.retired_at + _HEARD_MS
    if chosen.state is KeyState.RETIRED and (
        call.now_ms < last_ms or await domains.waits(domain.account, last_ms)
    ):
        raise WrongState(
            f"Mail that was taken while {chosen.selector} signed still waits, or may.",
            fix="Remove it when that mail is settled, or revoke it: then it leaves unsigned.",
        )
    await domains.remove_key(domain.id, chosen.selector)
    return gone()


async def _chosen(call: Call) -> tuple[SendingDomain, list[DkimKey], DkimKey]:
    domain = await find_domain(call)
    keys = await _keys(call, domain)
    return domain, keys, find_key(keys, call.part("selector").lower())


async def _keys(call: Call, domain: SendingDomain) -> list[DkimKey]:
    return await call.rooms.storage.domains.keys(domain.id)


async def _save(call: Call, domain: SendingDomain, changed: list[DkimKey]) -> Response:
    await call.rooms.storage.domains.save_keys(domain.id, changed)
    await call.rooms.storage.domains.look_at(domain.id, 0)
    return answer(page([key_view(key) for key in await _keys(call, domain)]))


def _check_room(keys: list[DkimKey], more: int) -> None:
    if len(keys) + more > _MOST_KEYS:
        raise WrongState(
            f"A domain has at most {_MOST_KEYS} keys.",
            fix="Remove those that are not used any more.",
        )


ENTRIES: Final = (
    Entry("GET", "/domains/{domain}/keys", Verb.READ, list_keys),
    Entry("POST", "/domains/{domain}/keys", Verb.MANAGE, add_key),
    Entry("POST", "/domains/{domain}/rotate", Verb.MANAGE, rotate_keys),
    Entry("POST", "/domains/{domain}/keys/{selector}/activate", Verb.MANAGE, activate_key),
    Entry("POST", "/domains/{domain}/keys/{selector}/retire", Verb.MANAGE, retire_key),
    Entry("POST", "/domains/{domain}/keys/{selector}/revoke", Verb.MANAGE, revoke_key),
    Entry("DELETE", "/domains/{domain}/keys/{selector}", Verb.MANAGE, remove_key),
)
