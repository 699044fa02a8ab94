"""a wanted record against what was found: a verdict, and what is wrong in words

Pure: whoever looked hands in what every name server said, what is remembered elsewhere, and what
lies in the places where the record is put by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pillarbox.policy.domain_findings import Finding, RecordKind, Seen, Verdict, Wanted
from pillarbox.policy.lookup import Answer, Status
from pillarbox.policy.spf import MOST_LOOKUPS, has_mechanism, merged_spf, spf_records

_SHOWN_CHARACTERS: Final = 80
_BLANKS_AND_QUOTES: Final = re.compile(r'[\s"\\]+')
_REACHED: Final = "Is the domain registered, and may this machine ask port 53 of other hosts?"
_WORST_FIRST: Final = (Verdict.WRONG, Verdict.MISSING)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was found about one wanted record."""

    seen: tuple[Seen, ...] = ()
    answer: Answer | None = None
    """What a resolver says, which may have remembered it."""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name: records of the same type where this one is put by mistake."""
    addresses: tuple[str, ...] = ()
    """Where an alias is wanted: addresses that the name has itself."""
    lookups: int = 0
    """How many questions the SPF record makes receivers ask."""
    mechanism: str = ""
    """What the SPF record has to contain."""
    remembered_seconds: int = 0
    """How long what was there before may be remembered."""


def wrong_places(wanted: Wanted, domain: str) -> list[str]:
    """Names at which the record is often put by mistake."""
    places = [f"{wanted.name}.{domain}"]
    if wanted.kind is RecordKind.DKIM:
        places += [f"{wanted.selector}.{domain}", f"_domainkey.{wanted.selector}.{domain}"]
    elif wanted.kind in (RecordKind.PROOF, RecordKind.DMARC):
        places.append(domain)
    return places


def judge(wanted: Wanted, evidence: Evidence) -> Finding:
    """The verdict, and what to publish instead of what is there."""
    answered = [one for one in evidence.seen if not one.trouble]
    answer = evidence.answer
    known = answer is not None and answer.status is not Status.TROUBLE
    if not answered:
        if answer is None or not known:
            return _finding(wanted, evidence, Verdict.UNKNOWN, _nobody(evidence))
        answered = [Seen("a resolver", answer.texts)]
    views = [_view(one, answer if known else None) for one in answered]
    found = tuple(dict.fromkeys(text for view in views for text in view))
    verdicts = [_look(wanted, view, evidence) for view in views]
    right = [one for one, (verdict, _) in zip(answered, verdicts, strict=True)
             if verdict is Verdict.OK]  # fmt: skip
    if not right:
        verdict, words = min(verdicts, key=lambda one: _WORST_FIRST.index(one[0]))
        return _finding(
            wanted, evidence, verdict, _diagnosis(wanted, found, evidence, words), found
        )
    if len(right) < len(answered):
        others = [one.server for one in answered if one not in right]
        seconds = max(one.ttl_seconds for one in answered)
        words = (
            f"Found at {_listed(right)}, not at {', '.join(others)}: it is still spreading; what "
            f"is remembered elsewhere lasts up to {seconds} seconds."
        )
        return _finding(wanted, evidence, Verdict.SPREADING, words, found)
    if wanted.kind is RecordKind.PROOF or answer is None or not known:
        return _finding(wanted, evidence, Verdict.OK, verdicts[0][1], found)
    if _look(wanted, answer.texts, evidence)[0] is not Verdict.OK:
        words = (
            "Right at every name server. What was there before is remembered elsewhere for up to "
            f"{evidence.remembered_seconds or 'some hundred'} seconds."
        )
        return _finding(wanted, evidence, Verdict.SPREADING, words, found)
    return _finding(wanted, evidence, Verdict.OK, verdicts[0][1], found)


def _finding(
    wanted: Wanted, evidence: Evidence, verdict: Verdict, words: str, found: tuple[str, ...] = ()
) -> Finding:
    value = wanted.value
    if wanted.kind is RecordKind.SPF and (records := spf_records(found)):
        value = merged_spf(records, evidence.mechanism)
    return Finding(wanted, verdict, words, _relevant(wanted, found), value, evidence.seen)


def _view(one: Seen, answer: Answer | None) -> tuple[str, ...]:
    """What a receiver would get from this server; behind an alias, others are asked."""
    if one.alias and not one.found and answer is not None:
        return answer.texts
    return one.found


def _look(wanted: Wanted, found: Sequence[str], evidence: Evidence) -> tuple[Verdict, str]:
    """Whether records fit, and what is to be said of them."""
    match wanted.kind:
        case RecordKind.DKIM:
            return _look_at_key(wanted, found)
        case RecordKind.SPF:
            return _look_at_spf(found, evidence)
        case RecordKind.DMARC:
            return _look_at_dmarc(found)
        case _:
            if wanted.value.lower() in (text.lower() for text in found):
                return Verdict.OK, "Found."
            return (Verdict.MISSING, "") if not _relevant(wanted, found) else (Verdict.WRONG, "")


def _look_at_key(wanted: Wanted, found: Sequence[str]) -> tuple[Verdict, str]:
    wished = _tags(wanted.value)
    for text in found:
        tags = _tags(text)
        if tags.get("p") == wished["p"] and tags.get("k", "rsa") == wished["k"]:
            if len(found) > 1:
                return Verdict.WRONG, (
                    "Found, but with another record at the same name; receivers may take either. "
                    "Leave only this one."
                )
            if "y" in tags.get("t", "").split(":"):
                return Verdict.OK, "Found, marked as a test (t=y): receivers may ignore it."
            return Verdict.OK, "Found."
    return (Verdict.WRONG if found else Verdict.MISSING), ""


def _look_at_spf(found: Sequence[str], evidence: Evidence) -> tuple[Verdict, str]:
    records = spf_records(found)
    if len(records) > 1:
        merged = merged_spf(records, evidence.mechanism)
        return Verdict.WRONG, (
            f"{len(records)} SPF records: receivers treat that as an error. Merge them to: {merged}"
        )
    if not records:
        return Verdict.MISSING, ""
    if not has_mechanism(records[0], evidence.mechanism):
        merged = merged_spf(records, evidence.mechanism)
        return Verdict.WRONG, (
            f"Found without {evidence.mechanism}. Change it, do not add a second one: {merged}"
        )
    if evidence.lookups > MOST_LOOKUPS:
        return Verdict.WRONG, (
            f"Found, but it makes receivers ask the DNS {evidence.lookups} times; behind "
            f"{MOST_LOOKUPS} they give up. Leave out what does not send any more."
        )
    return Verdict.OK, "Found."


def _look_at_dmarc(found: Sequence[str]) -> tuple[Verdict, str]:
    records = [text for text in found if text.replace(" ", "").lower().startswith("v=dmarc1")]
    if len(records) > 1:
        return Verdict.WRONG, f"{len(records)} DMARC records: receivers ignore all. Leave one."
    if not records:
        return Verdict.MISSING, ""
    tags = _tags(records[0])
    if tags.get("p", "").lower() not in ("none", "quarantine", "reject"):
        return Verdict.WRONG, "Found, but without a usable p=: write p=none to begin with."
    if tags.get("adkim", "r").lower() == "s":
        return Verdict.OK, (
            "Found. It is strict (adkim=s): authors below the domain are not vouched for by its keys."
        )
    return Verdict.OK, "Found."


def _diagnosis(wanted: Wanted, found: Sequence[str], evidence: Evidence, words: str) -> str:
    """What keeps a record from being found right, the likeliest mistake first."""
    if words:
        return words
    aliases = {one.alias for one in evidence.seen if one.alias}
    if wanted.type == "TXT" and aliases and any(one.found for one in evidence.seen if one.alias):
        return (
            f"A CNAME and other records at the same name: {wanted.name} may have only one of them. "
            "Remove the CNAME."
        )
    if aliases and not _relevant(wanted, found):
        return (
            f"{wanted.name} is an alias (CNAME) of {_cut(min(aliases))}, which has no such record."
        )
    relevant = _relevant(wanted, found)
    for text in relevant:
        if (said := _misspelt(wanted, text)) is not None:
            return said
    for place, texts in evidence.elsewhere.items():
        if any(_squeezed(text) == _squeezed(wanted.value) for text in texts):
            return _misplaced(wanted, place)
    if relevant:
        what = "another key" if wanted.kind is RecordKind.DKIM else "another value"
        return f"There is {what}: {_cut(relevant[0])}"
    if evidence.addresses:
        return (
            f"{wanted.name} has an address of its own ({evidence.addresses[0]}) in place of the "
            "alias. Where a provider offers to proxy the name, switch that off."
        )
    if not any(not one.trouble for one in evidence.seen):
        said = "Not found. None of the domain's name servers answered; a resolver was asked."
        # Asked once for the domain, and not beside each of its records.
        return f"{said} {_REACHED}" if wanted.kind is RecordKind.PROOF else said
    return "Not found at any name server."


def _misspelt(wanted: Wanted, text: str) -> str | None:
    if _squeezed(text) == _squeezed(wanted.value):
        if '"' in text:
            return (
                "Found, but with quotation marks in it. They belong to the notation of zone files; "
                "enter the value without them."
            )
        return (
            "Found, but split wrong: where its strings meet there is a blank too many or too few. "
            "Enter the value in one piece."
        )
    squeezed = _squeezed(text)
    if len(squeezed) > len(wanted.name) and _squeezed(wanted.value).startswith(squeezed):
        return (
            f"Found, but cut off behind {len(text)} characters. Enter the whole value; where a field "
            "is too short, as several strings of at most 255 characters."
        )
    return None


def _misplaced(wanted: Wanted, place: str) -> str:
    if place.startswith(f"{wanted.name}."):
        host = f".{wanted.name}".removesuffix(place.removeprefix(wanted.name)).lstrip(".")
        return (
            f"Host doubled: you created {place}. Your provider adds the domain by itself; enter "
            f"{host or '@'} as the host."
        )
    return f"Found at {place}, which is the wrong name; move it to {wanted.name}."


def _relevant(wanted: Wanted, found: Sequence[str]) -> tuple[str, ...]:
    """Of the records at the name, those that could have been meant."""
    match wanted.kind:
        case RecordKind.SPF:
            return tuple(spf_records(found))
        case RecordKind.DMARC:
            return tuple(text for text in found if "dmarc" in text.lower())
        case _:
            return tuple(found)


def _tags(text: str) -> dict[str, str]:
    """``a=b; c=d`` (RFC 6376 §3.2); blanks inside keys mean nothing."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    tags = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "p" in tags:
        tags["p"] = "".join(tags["p"].split())
    return tags


def _squeezed(text: str) -> str:
    return _BLANKS_AND_QUOTES.sub("", text).rstrip(";")


def _nobody(evidence: Evidence) -> str:
    for one in evidence.seen:
        return f"Nobody could be asked: {one.server} {one.trouble}."
    words = evidence.answer.words if evidence.answer is not None else ""
    return f"Nobody could be asked: {words}." if words else "Nobody could be asked."


def _listed(servers: Sequence[Seen]) -> str:
    return ", ".join(one.server for one in servers)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
