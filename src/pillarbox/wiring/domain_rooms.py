"""the rooms that sending domains take: looks at their records, and the round that makes them"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.net.authority import Authorities
from pillarbox.net.certificates import Certificates
from pillarbox.net.resolver import Resolver
from pillarbox.policy.domain_records import ServiceNames
from pillarbox.policy.networks import is_public, is_within
from pillarbox.services.domains.look import DomainLook
from pillarbox.services.domains.rounds import DomainRounds
from pillarbox.services.domains.tracking_certificates import TrackingCertificates
from pillarbox.settings import Settings
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class DomainRooms:
    """What the REST face and the clock are given."""

    look: DomainLook
    rounds: DomainRounds


def build_domains(
    settings: Settings, storage: Storage, resolver: Resolver, clock: Clock, shown: Certificates
) -> DomainRooms:
    """Name servers are asked on public addresses, or on such as mail may go to directly. `shown` are
    the certificates of the tracking host.
    """
    networks = settings.direct.allowed_networks
    authorities = Authorities(
        resolver,
        seconds=settings.dns.timeout_seconds,
        permits=lambda address: is_public(address) or is_within(networks, address),
    )
    service = ServiceNames(
        settings.hostname, settings.domains.spf, settings.tracking.host.partition(":")[0]
    )
    acme = settings.acme.agree_terms and settings.acme.tracking_hosts
    certificates = None
    if acme and settings.tracking.https and settings.tracking_host.listen_tls:
        certificates = TrackingCertificates(storage, shown.covers, clock)
    look = DomainLook(
        storage, authorities, resolver, clock, service, settings.domains, certificates
    )
    return DomainRooms(look, DomainRounds(storage, look, clock, on_duty="upkeep" in settings.roles))
