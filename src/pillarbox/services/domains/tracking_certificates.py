"""a certificate for a domain's own tracking host, asked for before its links name it

A link under a name without one is a warning in front of the reader, in place of the page. Those who
add domains need not be those who run this: what they may have asked of an authority is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.net.acme import certifiable
from pillarbox.observe.log import logger
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.storage.interface.certificates import MOST_HOSTS
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.setting import InvalidSetting

_log = logger("domains")

MISSING: Final = "Found. Links name it once it has a certificate"
AWAITED: Final = f"{MISSING}, which has been asked for."
_FAILED: Final = (
    f"{MISSING}; the last try to get one failed: {{}}. What to do is in docs/certificates.md."
)
_BY_HAND: Final = (
    f"{MISSING}. None is asked for by itself, since {{}}: pillarbox certificate request {{}}"
)
_DAY_MS: Final = 86_400_000
_A_DAY: Final = 20
"""New hosts of one account: authorities count what is asked of them."""
_MOST: Final = MOST_HOSTS // 2
"""Behind so many the room is for those whom somebody asks for by name."""


class TrackingCertificates:
    """Where this service shows certificates itself, and may ask an authority for them."""

    def __init__(self, storage: Storage, covers: Callable[[str], bool], clock: Clock) -> None:
        """`covers` says whether what is shown now is good for a host."""
        self._domains = storage.domains
        self._store = storage.certificates
        self._covers = covers
        self._clock = clock
        self._day = 0
        self._asked: Counter[ObjectId] = Counter()
        """On that day."""

    async def missing(self, domain: SendingDomain) -> str:
        """Why links cannot name its tracking host yet, as a sentence; empty where they can. A
        certificate that nobody has asked for is asked for from now on, and renewed. Raises
        `StorageTrouble`.
        """
        try:
            name = certifiable(domain.tracking_host)
        except InvalidSetting:
            return ""  # no authority gives one for such a name: whoever chose it has his own way
        if self._covers(name):
            return ""
        now_ms = self._clock.now_ms()
        known = await self._store.certificates()
        for each in known:
            if each.host == name:
                if each.until_at > now_ms:
                    return ""
                return _FAILED.format(each.words.rstrip(".")) if each.failures else AWAITED
        why = await self._why_by_hand(domain, len(known), now_ms)
        if why:
            return _BY_HAND.format(why, name)
        try:
            await self._store.want(name, now_ms)
        except Conflict as conflict:
            return _FAILED.format(conflict.sentence.rstrip("."))
        self._asked[domain.account] += 1
        _log.info("domain.certificate_wanted", host=name)
        return AWAITED

    async def forget(self, host: str) -> None:
        """No domain names this host any more; one that was never obtained is asked for no longer."""
        for each in await self._store.certificates():
            if each.host == host and not each.until_at:
                with suppress(NotFound):
                    await self._store.remove(host)

    async def _why_by_hand(self, domain: SendingDomain, known: int, now_ms: int) -> str:
        above = (await self._domains.proved()).above(domain.tracking_host)
        if above is None or above.account != domain.account:
            return "it lies in no domain that this account has proved"
        if known >= _MOST:
            return f"there are {known} already"
        if self._day != now_ms // _DAY_MS:
            self._day = now_ms // _DAY_MS
            self._asked.clear()
        if self._asked[domain.account] >= _A_DAY:
            return f"{_A_DAY} were for this account today"
        return ""
