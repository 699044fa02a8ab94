"""reports on TLS to the domains that want them: who asks, and what is written (RFC 8460)"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import msgspec

from pillarbox.policy.tls_plan import ReportedPolicy
from pillarbox.terms.clock import from_ms

DAY_MS: Final = 86_400_000
MAX_TARGETS: Final = 4
"""Addresses a report goes to; what a domain lists beyond them is not served."""

RESULTS: Final = (
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
)
"""What a session that failed is called (§4.3)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many sessions of one day went one way; `result` is empty for those that went well."""

    policy: ReportedPolicy
    result: str
    host: str
    """The MX host."""
    address: str
    """Its address, where it was reached."""
    sessions: int


@dataclass(frozen=True, slots=True)
class Report:
    """A day's report to one domain."""

    domain: str
    identity: str
    start_ms: int
    """Midnight UTC, as the day begins."""
    text: bytes
    """JSON (§4.4)."""

    @property
    def file_name(self) -> str:
        """§5.1"""
        sender = self.identity.partition("@")[2] or "pillarbox"
        start = self.start_ms // 1000
        return f"{sender}!{self.domain}!{start}!{start + DAY_MS // 1000 - 1}.json.gz"

    @property
    def packed(self) -> bytes:
        """The same bytes for the same report, whenever it is made."""
        return gzip.compress(self.text, mtime=0)


def record_name(domain: str) -> str:
    """Of the TXT record that asks for reports."""
    return f"_smtp._tls.{domain}"


def read_targets(texts: Iterable[str]) -> tuple[str, ...]:
    """Where reports go, ``mailto:`` and ``https:`` URIs, from the TXT records of `record_name`.

    Of several records none holds (§3).
    """
    ours = [text for text in texts if re.match(r"v=TLSRPTv1[ \t]*(?:;|$)", text)]
    if len(ours) != 1:
        return ()
    for pair in ours[0].split(";")[1:]:
        name, equals, value = pair.strip().partition("=")
        if equals and name.strip() == "rua":
            listed = (one.strip() for one in value.split(","))
            return tuple(one for one in listed if _is_target(one))[:MAX_TARGETS]
    return ()


def mailbox_of(target: str) -> str | None:
    """The address of a ``mailto:`` URI; None for another URI."""
    scheme, _, rest = target.partition(":")
    return unquote(rest.partition("?")[0]) if scheme.lower() == "mailto" else None


def day_of(at_ms: int) -> int:
    """Midnight UTC at which the day of an instant begins, in milliseconds."""
    return at_ms - at_ms % DAY_MS


def write_report(
    domain: str, day_ms: int, counted: Sequence[Counted], *, organization: str, contact: str
) -> Report:
    """The report on what was counted for `domain` on the day that begins at `day_ms`."""
    day = from_ms(day_ms).strftime("%Y-%m-%d")
    identity = f"{day}.{domain}@{organization}"
    policies: dict[ReportedPolicy, list[Counted]] = {}
    for one in counted:
        policies.setdefault(one.policy, []).append(one)
    document = {
        "organization-name": organization,
        "date-range": {
            "start-datetime": f"{day}T00:00:00Z",
            "end-datetime": f"{day}T23:59:59Z",
        },
        "contact-info": contact,
        "report-id": identity,
        "policies": [_policy(policy, some) for policy, some in policies.items()],
    }
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    return Report(domain, identity, day_ms, text)


def _policy(policy: ReportedPolicy, counted: Sequence[Counted]) -> dict[str, object]:
    described: dict[str, object] = {"policy-type": policy.kind, "policy-domain": policy.domain}
    if policy.lines:
        described["policy-string"] = list(policy.lines)
    if policy.mx:
        described["mx-host"] = list(policy.mx)
    failed = [one for one in counted if one.result]
    written: dict[str, object] = {
        "policy": described,
        "summary": {
            "total-successful-session-count": sum(o.sessions for o in counted if not o.result),
            "total-failure-session-count": sum(one.sessions for one in failed),
        },
    }
    if failed:
        written["failure-details"] = [_failure(one) for one in failed]
    return written


def _failure(one: Counted) -> dict[str, object]:
    details: dict[str, object] = {"result-type": one.result, "failed-session-count": one.sessions}
    if one.host:
        details["receiving-mx-hostname"] = one.host
    if one.address:
        details["receiving-ip"] = one.address
    return details


def _is_target(uri: str) -> bool:
    if len(uri) > 1000 or not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    lower = uri.lower()
    return lower.startswith("https://") or (lower.startswith("mailto:") and "@" in uri)
