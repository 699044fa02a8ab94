"""a certificate for a domain's own tracking host, asked for before its links name it

A link under a name without one is a warning in front of the reader, in place of the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pillarbox.net.acme import certifiable
from pillarbox.observe.log import logger
from pillarbox.storage.interface.certificates import CertificateStore
from pillarbox.storage.interface.errors import Conflict
from pillarbox.terms.clock import Clock
from pillarbox.terms.setting import InvalidSetting

_log = logger("domains")

AWAITED: Final = "Found. Links name it once it has a certificate, which has been asked for."
FAILED: Final = (
    "Found. Links name it once it has a certificate; the last try to get one failed: {}. What to do "
    "is in docs/certificates.md."
)


class TrackingCertificates:
    """Where this service shows certificates itself, and may ask an authority for them."""

    def __init__(
        self, store: CertificateStore, covers: Callable[[str], bool], clock: Clock
    ) -> None:
        """`covers` says whether what is shown now is good for a host."""
        self._store = store
        self._covers = covers
        self._clock = clock

    async def missing(self, host: str) -> str:
        """Why links cannot name a host yet, as a sentence; empty where they can. One that nobody has
        asked for is asked for from now on, and renewed. Raises `StorageTrouble`.
        """
        try:
            name = certifiable(host)
        except InvalidSetting:
            return ""  # no authority gives one for such a name: whoever chose it has his own way
        if self._covers(name):
            return ""
        now_ms = self._clock.now_ms()
        for each in await self._store.certificates():
            if each.host == name:
                if each.until_at > now_ms:
                    return ""
                return FAILED.format(each.words.rstrip(".")) if each.failures else AWAITED
        try:
            await self._store.want(name, now_ms)
        except Conflict as conflict:
            return FAILED.format(conflict.sentence.rstrip("."))
        _log.info("domain.certificate_wanted", host=name)
        return AWAITED
