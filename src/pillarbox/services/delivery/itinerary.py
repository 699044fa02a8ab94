"""the MX hosts of one domain as servers, in the order in which an attempt would try them"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.net.errors import Broken
from pillarbox.policy import mx
from pillarbox.policy.lookup import Status
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.policy.tls_policy import Wish, refused
from pillarbox.services.delivery.atlas import Atlas, Located
from pillarbox.services.delivery.straight import Plans, host_server
from pillarbox.terms.hostname import is_domain


class Itinerary:
    """For whoever tries a direct way out: the same look-ups and the same plans as for mail, and no
    mail that could wait for a better moment.
    """

    def __init__(self, config: mx.DirectConfig, atlas: Atlas, plans: Plans) -> None:
        self._config = config
        self._atlas = atlas
        self._plans = plans

    async def hosts(self, way: Server, domain: str) -> Sequence[Server]:
        """The hosts of `domain` that may be tried by way of `way`; one whose TLS may fail comes a
        second time, without. Raises `Broken` where there are none, with the reason of the first.
        """
        exchangers = await self._exchangers(domain)
        servers: list[Server] = []
        reasons: list[str] = []
        for host in [host for group in exchangers.groups for host in group]:
            located = await self._atlas.locate(host, way.local_address)
            if located.own or located.missing or located.outcome is not None:
                reasons.append(_why_not(located))
                continue
            plan: TlsPlan | None = await self._plans.plan_for(
                domain, host, mx_secure=exchangers.secure, wish=Wish.NOTHING
            )
            while plan is not None:
                if plan.refusal:
                    reasons.append(f"{host} {refused(plan).words}")
                    break
                servers.append(host_server(located, way, plan, self._config.port))
                plan = plan.otherwise
        if not servers:
            raise Broken("connect", reasons[0] if reasons else f"{domain} has no host")
        return servers

    async def _exchangers(self, domain: str) -> mx.Exchangers:
        if literal := mx.literal_address(domain):
            return mx.Exchangers(((literal,),))
        if not is_domain(domain):
            raise Broken("connect", mx.misnamed(domain).words)
        answer = await self._atlas.exchangers(domain)
        if answer.status is Status.NO_NAME:
            raise Broken("connect", f"there is no domain {domain}")
        found = mx.exchangers_of(domain, answer, 0, self._atlas.own_names, self._config.max_hosts)
        if isinstance(found, Outcome):
            raise Broken("connect", found.words)
        return found


def _why_not(located: Located) -> str:
    if located.own:
        return f"{located.host} is this machine itself"
    if located.outcome is not None:
        return located.outcome.words
    return f"{located.host} has no address"
