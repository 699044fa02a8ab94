"""who visits a tracked link or image: a person, or a program that was there before, for or without one

Rules, in the order in which they are asked. Whatever they say, everything is answered alike.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.terms.ids import DeliveryId

CLICKED: Final = "message.clicked"
OPENED: Final = "message.opened"

SOON_MS: Final = 2000
"""Nobody has found a message, opened it and followed a link sooner than this after its delivery."""
BURST_MS: Final = 1000
BURST_LINKS: Final = 4
"""Nobody follows so many different links of one message within `BURST_MS`."""
SHOWN_AGENT: Final = 300
"""Characters of an agent's name that are kept."""


class Verdict(StrEnum):
    """Who it was, as far as can be told. Only persons count as readers."""

    PERSON = "person"
    SCANNER = "scanner"
    """A program that looks at links or images for its own sake: a filter, a robot, a preview."""
    PROXY = "proxy"
    """A mail provider that loads images on behalf of people, or ahead of them."""
    PREFETCH = "prefetch"
    """A program that loads ahead what a person may never look at."""


class Rule(StrEnum):
    """What a verdict rests on."""

    HEAD = "head"
    PURPOSE = "purpose"
    PROXY_AGENT = "proxy_agent"
    SCANNER_AGENT = "scanner_agent"
    NO_AGENT = "no_agent"
    SOON = "soon"
    BURST = "burst"
    NONE = "none"


RULE_WORDS: Final[dict[Rule, str]] = {
    Rule.HEAD: "asked for the head alone (HEAD), which shows nothing to anybody",
    Rule.PURPOSE: "said itself that it loads ahead (Purpose, Sec-Purpose, X-Purpose or X-Moz)",
    Rule.PROXY_AGENT: "named itself as the image proxy of a mail provider",
    Rule.SCANNER_AGENT: "named itself as a robot, a filter, a preview or a program's library",
    Rule.NO_AGENT: "named itself not at all",
    Rule.SOON: "came within two seconds of the delivery",
    Rule.BURST: "followed four or more links of the message within a second",
    Rule.NONE: "none of the rules fits",
}
"""Each as the end of a sentence that begins with the visitor."""

_PURPOSES: Final = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_AHEAD: Final = re.compile(r"prefetch|prerender|preview", re.IGNORECASE)
# Apple's mail privacy loads through relays that say no more than this of themselves.
_APPLE: Final = "mozilla/5.0"
_PROXIES: Final = re.compile(
    r"googleimageproxy|ggpht\.com|yahoomailproxy|seznamemailproxy|zohomailimageproxy", re.IGNORECASE
)
_SCANNERS: Final = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|scanner|urlscan|barracuda|mimecast|proofpoint|symantec"
    r"|messagelabs|trend ?micro|fireeye|forcepoint|sophos|ironport|cloudmark|safelinks|bitdefender"
    r"|kaspersky|virustotal|externalhit|whatsapp|uripreview|linkexpander|headless|phantomjs"
    r"|\b(?:curl|wget|python|python-requests|python-urllib|python-httpx|aiohttp|go-http-client|okhttp"
    r"|java|apache-httpclient|libwww-perl|lwp::simple|node-fetch|axios|undici|ruby|php|guzzlehttp)/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody asked for a tracked link or image. `at` is in milliseconds."""

    kind: str
    """`CLICKED` or `OPENED`."""
    delivery: DeliveryId
    position: int
    url: str
    at: int
    address: str
    agent: str
    verdict: Verdict
    rule: Rule


def first_look(method: str, fields: Mapping[str, str]) -> tuple[Verdict, Rule]:
    """What a request says by itself; `fields` has its header fields, their names in lower case."""
    if method == "HEAD":
        return Verdict.SCANNER, Rule.HEAD
    if any(_AHEAD.search(fields.get(name, "")) for name in _PURPOSES):
        return Verdict.PREFETCH, Rule.PURPOSE
    agent = fields.get("user-agent", "").strip()
    if not agent:
        return Verdict.SCANNER, Rule.NO_AGENT
    if agent.lower() == _APPLE or _PROXIES.search(agent):
        return Verdict.PROXY, Rule.PROXY_AGENT
    if _SCANNERS.search(agent):
        return Verdict.SCANNER, Rule.SCANNER_AGENT
    return Verdict.PERSON, Rule.NONE


def second_look(visit: Visit, reached_at: int | None, *, in_burst: bool) -> tuple[Verdict, Rule]:
    """What is known a little later: when the delivery was final (None where it is not), and whether
    it was one of many in the same moment.
    """
    if visit.verdict is not Verdict.PERSON:
        return visit.verdict, visit.rule
    if reached_at is not None and visit.at - reached_at < SOON_MS:
        return Verdict.SCANNER, Rule.SOON
    if in_burst:
        return Verdict.SCANNER, Rule.BURST
    return visit.verdict, visit.rule


def bursts_of(visits: Iterable[Visit]) -> set[int]:
    """Which of these visits, by place, followed many links of one message in the same moment."""
    by_delivery: defaultdict[DeliveryId, list[tuple[int, int, int]]] = defaultdict(list)
    for place, each in enumerate(visits):
        if each.kind == CLICKED:
            by_delivery[each.delivery].append((each.at, place, each.position))
    found: set[int] = set()
    for clicks in by_delivery.values():
        if len(clicks) >= BURST_LINKS:
            found |= _bursts_of(sorted(clicks))
    return found


def _bursts_of(clicks: Sequence[tuple[int, int, int]]) -> set[int]:
    found: set[int] = set()
    within: Counter[int] = Counter()
    first = marked = 0
    for last, (at, _, position) in enumerate(clicks):
        within[position] += 1
        while at - clicks[first][0] > BURST_MS:
            gone = clicks[first][2]
            within[gone] -= 1
            if not within[gone]:
                del within[gone]
            first += 1
        if len(within) >= BURST_LINKS:
            begin = max(first, marked)
            found.update(place for _, place, _ in clicks[begin : last + 1])
            marked = last + 1
    return found


def shown_agent(agent: str) -> str:
    """An agent's name as it is kept: of bounded length, and nothing in it but what prints."""
    return "".join(each if each.isprintable() else "?" for each in agent.strip()[:SHOWN_AGENT])


def visit_words(kind: str, position: int, url: str, verdict: str, rule: str) -> str:
    """A visit as a sentence for a person."""
    who = {Verdict.PERSON: "Somebody", Verdict.PREFETCH: "Something that loads ahead"}.get(
        Verdict(verdict) if verdict in _VERDICTS else Verdict.PERSON, f"A {verdict}"
    )
    what = f"link {position}, {url}" if kind == CLICKED else f"image {position}, {url}"
    did = "followed" if kind == CLICKED else "loaded"
    said = f"{who} {did} {what}" if url else f"{who} loaded the tracking pixel"
    why = RULE_WORDS.get(Rule(rule)) if rule in _RULES and rule != Rule.NONE else None
    return f"{said}; it {why}." if why else f"{said}."


_VERDICTS: Final = frozenset(each.value for each in Verdict)
_RULES: Final = frozenset(each.value for each in Rule)
