"""signers: whose keys sign for the author of new mail, and whether the author may be used at all

Learnt before a message is taken, as lanes are; taking it asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.policy.sending_domain import Proved, Signing
from pillarbox.policy.submitter import Submitter
from pillarbox.storage.interface.domains import DomainStore
from pillarbox.terms.ids import ObjectId


class Signers:
    """Speaks of what was last learnt, which is checked against the store's version."""

    def __init__(self, domains: DomainStore) -> None:
        self._domains = domains
        self._last = Proved()

    @property
    def known(self) -> bool:
        """Whether the rest may be asked."""
        return self._domains.proved_now is not None

    async def learn(self) -> None:
        """Read what was changed. Raises `StorageTrouble`."""
        self._last = await self._domains.proved()

    def signers_for(self, account: ObjectId, author: str) -> tuple[str, ...]:
        """The keys, as ``domain/selector``, that sign mail of an author, an address or a domain."""
        signing = self.signing_for(account, author)
        return signing.key_ids if signing is not None else ()

    def signing_for(self, account: ObjectId, author: str) -> Signing | None:
        """The sending domain of the account that an author's address lies in; None: none does."""
        return self._proved.signing_for(account, author.rpartition("@")[2])

    def check(self, submitter: Submitter, authors: Sequence[str]) -> None:
        """Raises a `Refusal` where the submitter may not write in the name of one of them."""
        refusal = self._proved.refusal(submitter, authors)
        if refusal is not None:
            raise refusal

    @property
    def _proved(self) -> Proved:
        # Changed since it was learnt: the change counts from the next message on.
        proved = self._domains.proved_now
        if proved is not None:
            self._last = proved
        return self._last
