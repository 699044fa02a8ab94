"""SPF records of a domain (RFC 7208): one of them, with what this service needs in it"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

MOST_LOOKUPS: Final = 10
"""RFC 7208 §4.6.4: beyond it receivers stop and call the record broken."""
_ASKING: Final = ("include", "a", "mx", "ptr", "exists", "redirect")


def spf_records(texts: Iterable[str]) -> list[str]:
    """Those of a name's TXT records that are SPF (§4.5)."""
    return [text for text in texts if text.lower().split(" ", 1)[0] == "v=spf1"]


def merged_spf(records: Sequence[str], mechanism: str) -> str:
    """One record that says all that these say, and names one more mechanism.

    Each term once, in the order in which they came; of several ``all`` the first counts.
    """
    terms: dict[str, None] = {}
    last: list[str] = []
    for record in records:
        for term in record.split()[1:]:
            if _name_of(term) in ("all", "redirect"):
                last.append(term)
            else:
                terms[term] = None
    if not has_mechanism(" ".join(("v=spf1", *terms)), mechanism):
        terms[mechanism] = None
    ends = [term for term in last if _name_of(term) == "all"] or last
    return " ".join(("v=spf1", *terms, *(ends[:1] or ["~all"])))


def has_mechanism(record: str, mechanism: str) -> bool:
    """Whether the hosts it stands for are let pass."""
    wanted = mechanism.lower()
    return any(term.lower().removeprefix("+") == wanted for term in record.split()[1:])


def asking_terms(record: str) -> list[tuple[str, str]]:
    """The terms for which receivers ask the DNS (§4.6.4), each with the name that it has behind
    its mark, if any.
    """
    found = []
    for term in record.split()[1:]:
        name = _name_of(term)
        if name in _ASKING:
            mark = "=" if name == "redirect" else ":"
            found.append((name, term.partition(mark)[2].partition("/")[0].lower()))
    return found


def _name_of(term: str) -> str:
    bare = term.lower().lstrip("+-~?")
    for mark in (":", "=", "/"):
        bare = bare.partition(mark)[0]
    return bare
