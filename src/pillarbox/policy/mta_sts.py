"""MTA-STS: what a domain says in its TXT record and in its policy file (RFC 8461 §3)"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_POLICY_BYTES: Final = 65_536
MAX_AGE_SECONDS: Final = 31_557_600
_MAX_PATTERNS: Final = 256
_MODES: Final = frozenset({"enforce", "testing", "none"})
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
_PATTERN: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?")


class InvalidPolicy(ValueError):
    """A policy file that means nothing; `args[0]` says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """What a domain's policy file says."""

    mode: str
    max_age_seconds: int
    mx: tuple[str, ...] = ()

    def lists(self, host: str) -> bool:
        """Whether it allows an MX host. A wildcard stands for one label, the leftmost (§4.1)."""
        name = host.rstrip(".").lower()
        _, _, parent = name.partition(".")
        return name in self.mx or (bool(parent) and f"*.{parent}" in self.mx)

    @property
    def lines(self) -> tuple[str, ...]:
        """As its file has it, for reports."""
        return (
            "version: STSv1",
            f"mode: {self.mode}",
            *(f"mx: {pattern}" for pattern in self.mx),
            f"max_age: {self.max_age_seconds}",
        )


def policy_name(domain: str) -> str:
    """Of the TXT record that says whether there is a policy, and which."""
    return f"_mta-sts.{domain}"


def policy_url(domain: str) -> str:
    """Where the policy file lies."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def read_record(texts: Iterable[str]) -> str | None:
    """The id of the policy, from the TXT records of `policy_name`; None where there is no policy.

    Records that begin otherwise are somebody else's; of several, none holds (§3.1).
    """
    ours = [text for text in texts if re.match(r"v=STSv1[ \t]*(?:;|$)", text)]
    if len(ours) != 1:
        return None
    for pair in ours[0].split(";")[1:]:
        name, equals, value = pair.strip().partition("=")
        if equals and name.strip() == "id":
            return value.strip() if _ID.fullmatch(value.strip()) else None
    return None


def read_policy(text: str) -> StsPolicy:
    """A policy file. Raises `InvalidPolicy`.

    Keys that nobody knows are passed over; of a key that may stand once, the first counts (§3.2).
    """
    found: dict[str, str] = {}
    patterns: dict[str, None] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            if line.strip():
                raise InvalidPolicy("it has a line without a colon")
        elif key == "mx":
            patterns[_pattern(value)] = None
        else:
            found.setdefault(key, value)
    if found.get("version") != "STSv1":
        raise InvalidPolicy("it is not of version STSv1")
    mode = found.get("mode", "")
    if mode not in _MODES:
        raise InvalidPolicy("its mode is none of enforce, testing and none")
    age = found.get("max_age", "")
    if not (age.isascii() and age.isdigit()) or len(age) > 10:
        raise InvalidPolicy("it does not say for how long it holds (max_age)")
    if not patterns and mode != "none":
        raise InvalidPolicy("it lists no MX host")
    if len(patterns) > _MAX_PATTERNS:
        raise InvalidPolicy(f"it lists more than {_MAX_PATTERNS} MX hosts")
    return StsPolicy(mode, min(int(age), MAX_AGE_SECONDS), tuple(patterns))


def _pattern(value: str) -> str:
    pattern = value.rstrip(".").lower()
    if not _PATTERN.fullmatch(pattern):
        raise InvalidPolicy("one of its MX hosts is not the name of a host")
    return pattern
