"""which records a sending domain should have, and why"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.domain_findings import RecordKind, Wanted
from pillarbox.policy.sending_domain import PROOF_LABEL, SendingDomain


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """What records point to."""

    hostname: str
    """Of this service."""
    spf: str = ""
    """The mechanism of SPF that stands for the hosts mail leaves from; empty: the service's own."""
    tracking: str = ""
    """Where tracking hosts point to; empty: to the service itself."""

    @property
    def spf_mechanism(self) -> str:
        """What an SPF record has to contain."""
        return self.spf or f"a:{self.hostname}"

    @property
    def is_public(self) -> bool:
        """Whether the mechanism can mean something to receivers: a bare name never does."""
        return bool(self.spf) or "." in self.hostname


_SPF_WHY = (
    "Names the hosts that may send for the domain. Needed where mail goes to its recipients' hosts "
    "directly; other servers have mechanisms of their own."
)
UNNAMED: Final = "Do not publish this yet: this service has no public name."
"""How the reason of a record begins that would mean nothing to others."""
_UNNAMED_SPF: Final = f"{UNNAMED} Set hostname, or domains.spf, and start anew."
_UNNAMED_HOST: Final = f"{UNNAMED} Set hostname and start anew."
_KEY_WHY = {
    KeyState.PENDING: "Receivers find the key here. It signs once this is found everywhere.",
    KeyState.ACTIVE: "Receivers find the key here. Without it signatures are worth nothing.",
    KeyState.RETIRED: "Mail that is on its way was signed with it. Leave it for a week or two.",
    KeyState.REVOKED: "An empty key says that nothing signed with it is trusted any more.",
}


def wanted_records(
    domain: SendingDomain, keys: Iterable[DkimKey], service: ServiceNames
) -> list[Wanted]:
    """In the order in which people enter them."""
    name = domain.name
    records = [
        Wanted(
            RecordKind.PROOF, f"{PROOF_LABEL}.{name}", "TXT", domain.proof,
            "Shows that the domain is yours. Nobody else can use it here afterwards.",
        )
    ]  # fmt: skip
    records += [
        Wanted(
            RecordKind.DKIM, f"{key.selector}._domainkey.{name}", "TXT", key.wanted_record,
            _KEY_WHY[key.state], key.state in (KeyState.PENDING, KeyState.ACTIVE), key.selector,
        )
        for key in sorted(keys, key=_by_age)
    ]  # fmt: skip
    records += [
        Wanted(
            RecordKind.SPF, name, "TXT", f"v=spf1 {service.spf_mechanism} ~all",
            _SPF_WHY if service.is_public else f"{_UNNAMED_SPF} {_SPF_WHY}", needed=False,
        ),
        Wanted(
            RecordKind.DMARC, f"_dmarc.{name}", "TXT", "v=DMARC1; p=none",
            "Says what becomes of mail that nothing vouches for. Large receivers ask for one.",
            needed=False,
        ),
    ]  # fmt: skip
    if domain.bounce_host:
        records.append(
            Wanted(
                RecordKind.BOUNCES, domain.bounce_host, "CNAME", service.hostname,
                _why(service.hostname, "Bounces come back to this service."), needed=False,
            )
        )  # fmt: skip
    if domain.tracking_host:
        records.append(
            Wanted(
                RecordKind.TRACKING, domain.tracking_host, "CNAME",
                service.tracking or service.hostname,
                _why(
                    service.tracking or service.hostname,
                    "Tracked links and images bear the domain's own name.",
                ),
                needed=False,
            )
        )  # fmt: skip
    if domain.autoconfig:
        records += [
            Wanted(
                RecordKind.AUTOCONFIG, f"autoconfig.{name}", "CNAME", service.hostname,
                _why(service.hostname, "Mail programs find their settings by it."), needed=False,
            ),
            Wanted(
                RecordKind.AUTOCONFIG, f"_submissions._tcp.{name}", "SRV",
                f"0 1 465 {service.hostname}",
                _why(
                    service.hostname,
                    "Programs that look for a server of the domain find this one (RFC 8314 §5.1).",
                ),
                needed=False,
            ),
        ]  # fmt: skip
    return records


def _why(target: str, why: str) -> str:
    return why if "." in target else f"{_UNNAMED_HOST} {why}"


def _by_age(key: DkimKey) -> tuple[int, str]:
    return key.created_at, key.selector
