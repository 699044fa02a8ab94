"""styles inlined, links and images tracked, signed: an eighth of the processor time of common libraries

A message about an order and a newsletter, both of our own making, pass through `render`, and through
premailer, lxml, the email package and dkimpy, in one process and in turn, with the same work to do:
style sheets inlined and kept, links and images led through a host by tokens with an HMAC, and a DKIM
signature of RSA-2048 over the result. Every order has another number. Before anything is measured
both results are compared: the same links and images lead through the host, and dkimpy itself finds
both signatures good. CPU is that of the process; times are medians of paired rounds.

Ours changes octets, theirs parses a message and writes another; what it leaves alone is no part of
this, and shown by tests elsewhere. Nothing about time is asserted.
"""

from __future__ import annotations

import gc
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from itertools import cycle
from typing import Any, Final

from pillarbox.message.dkim import SigningKey, new_key, signed_names
from pillarbox.message.facts import MessageFacts, OptionValue, Origin
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.keys import RenderKeys, key_id
from pillarbox.message.render import Hop, render
from pillarbox.terms.ids import DeliveryId
from tests.bench.libraries import Identity, Wanted, dressed, verified, versions
from tests.samples.mails import newsletter, transactional

NEEDS = ("dkimpy",)

HOST: Final = "track.example.test"
DOMAIN: Final = "shop.example.test"
SELECTOR: Final = "proof"
_DELIVERY: Final = DeliveryId(86_400_000 << 22 | 1)
_TOKEN_KEY: Final = bytes(range(32))
_HOP: Final = Hop(eight_bit=True, smtputf8=True)
_TRACKED: Final = re.compile(rb'(?:href|src)="?https://track\.example\.test/')
_STYLED: Final = re.compile(rb"<[^>]+ style=", re.IGNORECASE)

STEPS: Final = {
    "styles": Wanted(styles=True),
    "links": Wanted(links=True),
    "images": Wanted(images=True),
    "signature": Wanted(signed=True),
    "everything": Wanted(styles=True, links=True, images=True, signed=True),
}
LEAST: Final = 8.0
"""Times less CPU, for everything together."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How often."""

    rounds: int
    round_seconds: float
    """Of processor time, for either side of each step."""


SCALES: Final = {"small": Scale(1, 0.0), "full": Scale(11, 0.5)}


def prove(size: str) -> dict[str, object]:
    """Measure; targets first. Raises AssertionError where the two results do not compare."""
    scale = SCALES[size]
    key = new_key(DOMAIN, SELECTOR)
    dice = random.Random(1)
    mails = {"transactional": transactional(), "newsletter": newsletter()}
    counted = {name: _compared(content, key) for name, content in mails.items()}
    measured = {
        name: {step: _measured(content, STEPS[step], key, scale, dice) for step in STEPS}
        for name, content in mails.items()
    }
    return {
        "targets": [
            {
                "target": f"less CPU for everything together, {name}",
                "least": LEAST,
                "found": steps["everything"]["times"],
                "met": steps["everything"]["times"] >= LEAST,
            }
            for name, steps in measured.items()
        ],
        "counted": counted,
        "mails": measured,
        "parameters": {
            "rounds": scale.rounds,
            "round_cpu_seconds": scale.round_seconds,
            "content_bytes": {name: len(content) for name, content in mails.items()},
            "key": "RSA of 2048 bits",
        },
        "versions": versions(),
    }


# --- the two sides --------------------------------------------------------------------------------


def facts_for(wanted: Wanted) -> MessageFacts:
    """As the door writes them for such a message."""
    named = {
        "inlinecss": wanted.styles,
        "trackclicks": wanted.links,
        "trackopens": wanted.images,
        "preventscam": wanted.links,
    }
    return MessageFacts(
        return_path=f"bounces@{DOMAIN}",
        recipients=(),
        origin=Origin("smtp"),
        submitter_kind="credential",
        submitter_name="proof",
        options={name: OptionValue("true", "credential") for name, on in named.items() if on},
        key_ids=(key_id(DOMAIN, SELECTOR),) if wanted.signed else (),
        tracking_host=HOST,
        token_key=1,
    )


def _ours(content: bytes, wanted: Wanted, key: SigningKey) -> Callable[[], bytes]:
    facts = facts_for(wanted)
    keys = RenderKeys({1: _TOKEN_KEY}, {key_id(DOMAIN, SELECTOR): key})
    mails = _many(content)
    return lambda: render(next(mails), facts, _HOP, keys, _DELIVERY)


def _theirs(content: bytes, wanted: Wanted, key: SigningKey) -> Callable[[], bytes]:
    fields = HeaderBlock.parse(split_content(content)[0]).fields
    identity = Identity(
        host=HOST,
        token_key=_TOKEN_KEY,
        domain=DOMAIN,
        selector=SELECTOR,
        private_pem=key.private_text().reveal().encode("ascii"),
        signed_fields=tuple(signed_names(fields)),
    )
    mails = _many(content)
    return lambda: dressed(next(mails), wanted, identity)


def _many(content: bytes) -> Iterator[bytes]:
    """Like this one, each for itself in memory, with other numbers in the place of that of the order:
    what was found out about one mail is of use for the next where they are alike, and no further.
    """
    others = (b"%d" % number for number in range(30_000, 30_400))
    return cycle([content, *(bytes(bytearray(content).replace(b"20417", each)) for each in others)])


def _compared(content: bytes, key: SigningKey) -> dict[str, Any]:
    """What either made of a message; the same but for how it is written."""
    found: dict[str, Any] = {}
    for name, made in (("pillarbox", _ours), ("libraries", _theirs)):
        result = made(content, STEPS["everything"], key)()
        body = _html_of(result)
        found[name] = {
            "bytes": len(result),
            "tracked": len(_TRACKED.findall(body)),
            "styled": len(_STYLED.findall(body)),
            "signature_holds": verified(result, lambda _: key.record.encode("ascii")),
        }
    ours, theirs = found["pillarbox"], found["libraries"]
    assert ours["signature_holds"] and theirs["signature_holds"], found
    assert ours["tracked"] == theirs["tracked"] > 0, found
    assert min(ours["styled"], theirs["styled"]) > 0.9 * max(ours["styled"], theirs["styled"]), (
        found
    )
    return found


def _html_of(content: bytes) -> bytes:
    message = message_from_bytes(content, policy=policy.SMTP)
    [body] = [part for part in message.walk() if part.get_content_type() == "text/html"]
    made = body.get_payload(decode=True)
    assert isinstance(made, bytes)
    return made


# --- measuring ------------------------------------------------------------------------------------


def _measured(
    content: bytes, wanted: Wanted, key: SigningKey, scale: Scale, dice: random.Random
) -> dict[str, Any]:
    sides = {"pillarbox": _ours(content, wanted, key), "libraries": _theirs(content, wanted, key)}
    counts = {name: _count(work, scale.round_seconds) for name, work in sides.items()}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(scale.rounds):
        for name in dice.sample(sorted(sides), len(sides)):
            spent[name].append(_cpu_seconds(sides[name], counts[name]) / counts[name])
    ratios = [
        theirs / ours for ours, theirs in zip(spent["pillarbox"], spent["libraries"], strict=True)
    ]
    return {
        "times": round(statistics.median(ratios), 2),
        "times_worst": round(min(ratios), 2),
        **{
            name: {
                "cpu_us": round(statistics.median(each) * 1e6, 1),
                "per_cpu_second": round(1 / statistics.median(each)),
                "messages": counts[name] * scale.rounds,
            }
            for name, each in spent.items()
        },
    }


def _count(work: Callable[[], bytes], seconds: float) -> int:
    """How many messages take so long; what is done only once is done here."""
    for _ in range(3):
        work()
    once = _cpu_seconds(work, 5) / 5
    return max(1, round(seconds / max(once, 1e-6)))


def _cpu_seconds(work: Callable[[], bytes], count: int) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - began
