"""the MX hosts of a domain: which, in which order, at which addresses, and when there are none

RFC 5321 §5.1 with the null MX of RFC 7505. What the DNS says is hostile: a domain may name our own
machine, a neighbour in our network, or a thousand hosts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import groupby
from typing import Final, Literal
from zlib import crc32

from pillarbox.policy.delivery import State
from pillarbox.policy.draw import mixed
from pillarbox.policy.lookup import Answer, Mx, Status
from pillarbox.policy.meaning import PHRASES, Category, Stage
from pillarbox.policy.networks import InvalidNetwork, is_public, is_within, parse_network
from pillarbox.policy.outcome import Blame, Outcome
from pillarbox.terms.hostname import InvalidHostname, is_domain, parse_literal
from pillarbox.terms.setting import InvalidSetting, setting

_MAX_PORT: Final = 65535
_SHOWN_HOSTS: Final = 3

Prefer = Literal["ipv4", "ipv6", "ipv4 only", "ipv6 only"]


@dataclass(frozen=True, slots=True)
class DirectConfig:
    """How mail goes straight to the recipients' own hosts."""

    port: int = setting(25, "Where MX hosts are spoken to; anything but 25 is for trying it out.")
    prefer: Prefer = setting(
        "ipv4",
        "Addresses that are tried first, or alone; over IPv6 many hosts refuse mail from an "
        "address without a name (PTR).",
    )
    connections: int = setting(300, "Connections to MX hosts at most, to all of them together.")
    max_hosts: int = setting(20, "MX hosts of one domain that an attempt goes to at most.")
    max_addresses: int = setting(4, "Addresses of one MX host that are tried at most.")
    connect_seconds: float = setting(10.0, "For all addresses of an MX host together.")
    attempt_seconds: float = setting(
        240.0, "After so long, an attempt begins with no further host of a domain."
    )
    allowed_networks: tuple[str, ...] = setting(
        (),
        "Networks to which mail may go although they are private, such as 10.1.0.0/16; MX hosts "
        "elsewhere must have public addresses.",
    )
    own_names: tuple[str, ...] = setting(
        (),
        "Further names and addresses by which others know this machine, as behind NAT: mail that "
        "would come back is refused.",
    )

    def __post_init__(self) -> None:
        if not 0 < self.port <= _MAX_PORT:
            raise InvalidSetting("port is a number from 1 to 65535")
        if self.connections < 1:
            raise InvalidSetting("connections must be at least 1")
        if self.max_hosts < 1:
            raise InvalidSetting("max_hosts must be at least 1")
        if self.max_addresses < 1:
            raise InvalidSetting("max_addresses must be at least 1")
        if self.connect_seconds <= 0:
            raise InvalidSetting("connect_seconds must be above 0")
        try:
            for network in self.allowed_networks:
                parse_network(network)
        except InvalidNetwork as wrong:
            raise InvalidSetting(f"allowed_networks: {wrong.sentence}") from wrong


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The MX hosts of a domain, those of equal preference together, in the order of trying."""

    groups: tuple[tuple[str, ...], ...]
    implicit: bool = False
    """The domain has no MX record and is its own host (RFC 5321 §5.1)."""
    secure: bool = False
    """Their names were found by DNSSEC."""


def exchangers_of(
    domain: str, answer: Answer, seed: int, own: Collection[str], most: int
) -> Exchangers | Outcome:
    """What the answer to the question for MX records means; an outcome where it ends the matter.

    The same `seed` shuffles hosts of equal preference in the same way. `own` are names of this
    machine: from the first of them on, by preference, no host is tried. At most `most` are.
    A name that does not exist is for `nonexistent` to judge.
    """
    if answer.status is Status.TROUBLE:
        return not_looked_up(domain, answer.words)
    if answer.status is not Status.FOUND:
        return Exchangers(((domain,),), implicit=True, secure=answer.secure)
    records = answer.exchangers
    # RFC 7505 §3: a null MX stands alone; beside others it is a mistake and means nothing.
    named = [record for record in records if record.host]
    if not named:
        return _never(
            Category.NO_SUCH_DOMAIN, "1.10", f"found that {domain} takes no mail (null MX)"
        )
    known = {name.lower() for name in own}
    nearest = min((record.preference for record in named if record.host in known), default=None)
    left = [record for record in named if nearest is None or record.preference < nearest]
    if not left:
        return loops(domain)
    usable = [record for record in left if is_domain(record.host)]
    if not usable:
        shown = ", ".join(repr(record.host[:60]) for record in left[:_SHOWN_HOSTS])
        return _never(
            Category.NO_SUCH_DOMAIN,
            "4.4",
            f"found no host in the MX records of {domain}, but {shown}",
        )
    return Exchangers(_in_order(usable, seed, most), secure=answer.secure)


def _in_order(records: Sequence[Mx], seed: int, most: int) -> tuple[tuple[str, ...], ...]:
    best: dict[str, int] = {}
    for record in records:
        best[record.host] = min(record.preference, best.get(record.host, record.preference))
    drawn = sorted(best, key=lambda host: (best[host], mixed(seed, _number(host)), host))[:most]
    return tuple(tuple(group) for _, group in groupby(drawn, key=lambda host: best[host]))


def _number(host: str) -> int:
    return crc32(host.encode())


# --- addresses --------------------------------------------------------------------------------


def literal_address(domain: str) -> str:
    """The address in a literal such as ``[192.0.2.1]``; empty where it is none."""
    if not domain.startswith("["):
        return ""
    try:
        return parse_literal(domain)[1:-1].removeprefix("IPv6:")
    except InvalidHostname:
        return ""


def permitted(addresses: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Those that mail may go to: public ones, and those in the `allowed` networks."""
    return [one for one in addresses if is_within(allowed, one) or is_public(one)]


def chosen(
    addresses: Sequence[str], prefer: Prefer, most: int, seed: int, local_address: str = ""
) -> tuple[str, ...]:
    """The addresses to try, in order. Those of one family are shuffled by `seed`.

    Where connections come from a `local_address`, only those of its family can be reached.
    """
    family = ip_address(local_address).version if local_address else 0
    wanted = int(prefer[3])
    kept = [
        one
        for one in dict.fromkeys(addresses)
        if (version := ip_address(one).version) == (family or version)
        and (version == wanted or not prefer.endswith("only"))
    ]
    kept.sort(key=lambda one: (ip_address(one).version != wanted, mixed(seed, _drawn(one)), one))
    return tuple(kept[:most])


def _drawn(address: str) -> int:
    return int(ip_address(address)) & 0xFFFFFFFFFFFFFFFF


# --- what it comes to where there is nobody ---------------------------------------------------
# The words end a sentence that begins with the name of the direct way.


def nonexistent(domain: str, *, tried_before: bool) -> Outcome:
    """There is no such domain, or nobody there for mail.

    A resolver that has gone astray says the same of every name. So once is not enough: only a
    later attempt, whose resolver says so again, may end a delivery.
    """
    words = f"found no domain {domain}, or no host there that takes mail"
    return _unless_confirmed("1.2", words, tried_before=tried_before)


def unaddressed(domain: str, hosts: Sequence[str], *, tried_before: bool) -> Outcome:
    """None of the MX hosts has an address; as final as in `nonexistent`, and no sooner."""
    words = f"found no address of any MX host of {domain} ({_listed(hosts)})"
    return _unless_confirmed("4.4", words, tried_before=tried_before)


def misnamed(domain: str) -> Outcome:
    """What stands behind the @ is neither a domain nor an address."""
    return _never(
        Category.NO_SUCH_DOMAIN, "1.2", f"cannot look up {domain[:80]!r}: it is no domain"
    )


def loops(domain: str) -> Outcome:
    """The best host of the domain is this machine, which does not take its mail."""
    return _never(
        Category.MAIL_LOOP,
        "4.6",
        f"found that the MX records of {domain} lead back to this machine, which does not take "
        "its mail",
    )


def not_looked_up(name: str, words: str) -> Outcome:
    """No resolver could tell: our trouble, and never the recipient's."""
    return _later(Category.LOOKUP_FAILED, "4.3", f"could not look up {name}: {words}", Blame.US)


def not_public(host: str, addresses: Sequence[str]) -> Outcome:
    """A host in a network that mail from outside must not be able to reach through us."""
    return _later(
        Category.NOT_PERMITTED,
        "4.4",
        f"found no public address of {host} ({_listed(addresses)}), and mail goes to a private one "
        "only where direct.allowed_networks lists it",
        Blame.US,
    )


def out_of_family(host: str, prefer: Prefer) -> Outcome:
    """Its addresses are all of the kind that we do not use."""
    words = (
        f"found no address of {host} that can be reached from here (direct.prefer is {prefer!r})"
    )
    return _later(Category.NOT_PERMITTED, "4.4", words, Blame.US)


def no_time_left(domain: str) -> Outcome:
    """The attempt has lasted long enough; the hosts not reached are tried by the next."""
    words = f"left further hosts of {domain} for next time, because the first took too long"
    return _later(Category.NO_ANSWER, "4.1", words, Blame.US)


def site_full(site: str) -> Outcome:
    """Others are first, and whoever waits here would keep back mail that goes elsewhere."""
    words = f"has as much on its way to {site} as that takes"
    return _later(Category.RATE_LIMITED, "3.2", words, Blame.US)


def left_alone() -> Outcome:
    """A host that did not work a moment ago."""
    return _later(Category.PAUSED, "4.1", PHRASES[Category.PAUSED], Blame.SERVER)


def waits_here(outcome: Outcome) -> bool:
    """Whether what one of its hosts said of a recipient holds for all of them, and is no reason to
    go round them: other ways out would lead to the same mailbox.
    """
    return outcome.category in (Category.GREYLISTED, Category.RATE_LIMITED) and outcome.code > 0


def _unless_confirmed(detail: str, words: str, *, tried_before: bool) -> Outcome:
    if tried_before:
        return _never(Category.NO_SUCH_DOMAIN, detail, words)
    more = f"{words}; the next attempt asks once more before that is final"
    return _later(Category.NO_SUCH_DOMAIN, detail, more, Blame.RECIPIENT, next_host=False)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_HOSTS
    return ", ".join(names[:_SHOWN_HOSTS]) + (f" and {more} more" if more > 0 else "")


def _never(category: Category, detail: str, words: str) -> Outcome:
    return Outcome(
        State.FAILED, category, None, words, Blame.RECIPIENT, stage=Stage.CONNECT, detail=detail
    )


def _later(
    category: Category, detail: str, words: str, blame: Blame, *, next_host: bool = True
) -> Outcome:
    return Outcome(
        State.DEFERRED, category, None, words, blame,
        next_host=next_host, stage=Stage.CONNECT, detail=detail,
    )  # fmt: skip
