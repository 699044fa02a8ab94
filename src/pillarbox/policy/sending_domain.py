"""a sending domain: a DNS name that an account has proved, and who may write in its name"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pillarbox.policy.errors import Refusal
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.terms.hostname import InvalidHostname, parse_domain
from pillarbox.terms.ids import ObjectId

PROOF_LABEL: Final = "_pillarbox"
PROOF_WORD: Final = "pillarbox-domain="
_SHOWN_CHARACTERS: Final = 80


class DomainNotConfigured(Refusal):
    """The author's domain is not a sending domain of this account."""

    code = "domain_not_configured"


class DomainOfAnother(Refusal):
    """The author's domain is a sending domain of another account."""

    code = "domain_of_another"


@dataclass(frozen=True, slots=True)
class SendingDomain:
    """What an account says of a domain, and whether it has proved it. Instants are milliseconds."""

    id: ObjectId
    account: ObjectId
    name: str
    """In A-labels and lower case."""
    challenge: str
    """Whoever puts it into the DNS may change the domain's records: that is the proof."""
    covers_below: bool = True
    """Whether authors at names below it may use it, and are signed for by it."""
    bounce_host: str = ""
    """Where bounces of its mail go; empty: nowhere of its own."""
    tracking_host: str = ""
    """What its tracked links and images shall name; empty: the service's own."""
    tracking_found: bool = False
    """Whether that name leads here: links that named it before would lead nowhere."""
    autoconfig: bool = False
    """Whether mail programs of its people shall find their settings by it."""
    created_at: int = 0
    proved_at: int = 0
    """0: not yet."""

    @property
    def proof(self) -> str:
        """The TXT record at ``_pillarbox.DOMAIN``."""
        return PROOF_WORD + self.challenge


@dataclass(frozen=True, slots=True)
class Signing:
    """What a proved domain means for a message of one of its authors."""

    name: str
    account: ObjectId
    covers_below: bool
    key_ids: tuple[str, ...] = ()
    """Of its active keys, as ``domain/selector``; RSA first."""
    tracking_host: str = ""
    bounce_host: str = ""


@dataclass(frozen=True, slots=True)
class Proved:
    """All proved domains of all accounts, by name."""

    by_name: Mapping[str, Signing] = field(default_factory=dict)
    unproved: Mapping[tuple[ObjectId, str], bool] = field(default_factory=dict)
    """Those that an account has added and not proved yet, and whether each covers what lies below."""

    def of(self, domain: str) -> Signing | None:
        """The domain itself, or else the nearest one above it that covers what lies below."""
        found = self.by_name.get(domain)
        while found is None and "." in domain:
            domain = domain.partition(".")[2]
            above = self.by_name.get(domain)
            if above is not None and above.covers_below:
                found = above
        return found

    def above(self, domain: str) -> Signing | None:
        """The domain itself, or else the nearest one above it, whatever it covers."""
        found = self.by_name.get(domain)
        while found is None and "." in domain:
            domain = domain.partition(".")[2]
            found = self.by_name.get(domain)
        return found

    def signing_for(self, account: ObjectId, domain: str) -> Signing | None:
        """What signs for authors at a domain, given as it stands in an address; None: nothing does.

        A key signs for its own account alone, whatever lies above.
        """
        if not self.by_name:
            return None
        found = self.of(folded(domain))
        return found if found is not None and found.account == account else None

    def awaited(self, account: ObjectId, domain: str) -> str:
        """The domain of the account that would be good for this one, were it proved; else empty."""
        below = False
        while domain:
            covers = self.unproved.get((account, domain))
            if covers is not None and (covers or not below):
                return domain
            domain, below = domain.partition(".")[2], True
        return ""

    def refusal(self, submitter: Submitter, authors: Sequence[str]) -> Refusal | None:
        """Whether mail of these authors is taken from a submitter; None means yes.

        A domain that an account has proved is used by nobody else, but for mail that others wrote
        and a mail server passes on. Where the account enforces its domains no other is taken.
        """
        if submitter.kind is SubmitterKind.SYSTEM:
            return None
        account = submitter.account
        if not self.by_name and not account.enforces_domains:
            return None
        for author in authors or ("",):
            domain = folded(author.rpartition("@")[2])
            found = self.of(domain)
            if found is not None and found.account == account.id:
                continue
            if account.enforces_domains:
                return _not_configured(domain, self.awaited(account.id, domain))
            if found is not None and not submitter.relays:
                return _of_another(domain)
        return None


def without_hosts_of_others(by_name: Mapping[str, Signing]) -> dict[str, Signing]:
    """The same, but for tracking hosts that lie in a domain of another account.

    All of them lead here, so that alone is no permission: links of one account would carry the name
    of another.
    """
    proved = Proved(by_name)
    found: dict[str, Signing] = {}
    for name, signing in by_name.items():
        owner = proved.above(signing.tracking_host) if signing.tracking_host else None
        of_another = owner is not None and owner.account != signing.account
        found[name] = replace(signing, tracking_host="") if of_another else signing
    return found


def folded(domain: str) -> str:
    """A domain as it is compared; what is none stays as it is, in lower case."""
    try:
        return parse_domain(domain.rstrip("."))
    except InvalidHostname:
        return domain.lower()


def _shown(domain: str) -> str:
    if not domain:
        return "A message without an author"
    if len(domain) > _SHOWN_CHARACTERS:
        return domain[:_SHOWN_CHARACTERS] + "..."
    return domain


def _not_configured(domain: str, awaited: str) -> Refusal:
    if not domain:
        return DomainNotConfigured(
            "The message has no usable From field, and this account sends in the name of its "
            "sending domains only.",
            fix="Put an address of one of its domains into the From field.",
        )
    shown = _shown(domain)
    if awaited:
        added = _shown(awaited)
        return DomainNotConfigured(
            f"{shown} in the From field cannot be used yet: this account has added {added}, and has "
            "not proved it.",
            fix=f"Publish what proves it, and have that looked up: pillarbox domain check {added}",
        )
    return DomainNotConfigured(
        f"{shown} in the From field is not a sending domain of this account.",
        fix=f"Use an address of a proved domain, or add it: pillarbox domain add {shown}",
    )


def _of_another(domain: str) -> Refusal:
    return DomainOfAnother(
        f"{_shown(domain)} in the From field belongs to another account.",
        fix="Use an address of a domain of your own.",
    )
