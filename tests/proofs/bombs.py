"""no message stops the service or has a child for over a second: it arrives changed, or says why not

Messages made to cost more than they are worth (`tests.bombs.table`) are handed over by SMTP, with a
login whose mail has its styles inlined, links and images tracked, embedded images hosted, and is
signed. One after the other, each is refused at the door or arrives at the app's server: with another
body; or with the body that came, and then `message.left_as_it_is` in its history says why, or it has
no HTML body in which anything could be changed. Between them two are planted that no look ahead
stops: one takes more processor time than a child has, the other more memory. Each ends two children,
arrives as it came, and what follows it is changed as before.

Meanwhile another app hands over small mail at an even pace, all of which arrives. From MAIL to the
arrival at its server is measured, before the bombs and beside them. The service is one process from
the beginning to the end. Children have half the memory that is usual, and the door takes 64 MB, so
that no bomb is turned away for its size alone.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pillarbox.message.bodies import Body, find_bodies
from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.errors import TooComplex
from pillarbox.message.parts import read_parts
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.events import LeftFacts
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.policy.server import Encryption, Server
from pillarbox.services.submission.authenticate import hash_secret, new_password
from pillarbox.storage.codec import decode
from pillarbox.storage.connection import connect
from pillarbox.storage.open import open_storage
from pillarbox.terms.ids import new_object_id, parse_message_id
from pillarbox.wiring.first_run import begin
from tests.bench.meter import wait_until
from tests.bench.nodes import Node, new_secret_key
from tests.bench.peers import ROOT
from tests.bench.place import disk_place
from tests.bombs.table import BOMBS, PLANTS, Bomb, sheet
from tests.doubles.journal import Fact, read_journal, wall_ms
from tests.doubles.process import Program
from tests.doubles.sink import Sink, SinkProcess, SinkSettings
from tests.doubles.usage import child_cpu_seconds

_FEATURES: Final = {
    "inlinecss": "true", "trackclicks": "true", "trackopens": "true", "preventscam": "true",
    "images": "hosted",
}  # fmt: skip
_SETTINGS: Final = {
    "tracking.host": "track.example.test",
    "rendering.memory_mb": 256,
    "smtp.max_message_mb": 64,
    "dns.servers": "127.0.0.1:9",
}
_DOMAIN: Final = "example.test"
_ID: Final = re.compile(rb"\bid (msg_[0-9a-z]+)", re.IGNORECASE)
_SIGNED: Final = re.compile(rb"^DKIM-Signature:[^\n]*(?:\n[ \t][^\n]*)*\bd=example\.test", re.M)
_ARRIVAL_SECONDS: Final = 60.0
_LETTER: Final = Bomb("letter", lambda: sheet(b"p{top:1px}", b"<p>hello"))

CHOICE: Final = (
    "nested-2100", "million-attributes", "links-20000", "selectors-x-elements", "html-parts",
    "images-embedded", "multipart-100", "fields-froms", "trailing-blanks",
)  # fmt: skip
"""Of the small size."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    bombs: tuple[str, ...]
    """Their names; none means all."""
    rate: float
    """Small messages a second."""
    quiet_seconds: float


SCALES: Final = {
    "small": Scale(CHOICE, rate=20, quiet_seconds=1),
    "full": Scale((), rate=20, quiet_seconds=20),
}


@dataclass(frozen=True, slots=True)
class Login:
    """Whoever hands mail over."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one message."""

    word: str
    """changed, left, nothing_to_change or refused."""
    remarks: tuple[str, ...] = ()
    child_cpu_seconds: float = 0.0
    lost: int = 0
    """Children it ended."""
    reply: str = ""


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with disk_place() as place:
        return asyncio.run(_prove(SCALES[size], place.path))


async def _prove(scale: Scale, place: Path) -> dict[str, object]:
    settings = [f"{name}={value}" for name, value in _SETTINGS.items()]
    node = Node(place, "bombs", "", new_secret_key(), *settings)
    async with (
        Sink(SinkSettings(keep_content=True, digests=False)) as sink,
        SinkProcess(place / "small-sink.jsonl", "--no-digests") as small_sink,
    ):
        dressed, small = await _furnished(node, sink.port, small_sink.port)
        async with node:
            run = _Run(scale, node, place, sink, small_sink, dressed, small)
            try:
                return await run.prove()
            finally:
                run.part()


async def _furnished(node: Node, *ports: int) -> list[Login]:
    """A store with two apps, each with a server and a login; mail of the first has everything."""
    now_ms = wall_ms()
    storage = await open_storage(
        node.data, now_ms=now_ms, on_broken=lambda _: None, secret_key=node.secret_key,
        node=node.name,
    )  # fmt: skip
    directory = storage.directory
    await begin(directory, now_ms)
    (first,) = await directory.apps()
    logins = []
    for name, port in zip(("bombs", "small"), ports, strict=True):
        app = App(new_object_id(), first.account, name, name, mode=Mode.LIVE, created_at=now_ms)
        await directory.save_app(app)
        await directory.save_server(
            Server(
                new_object_id(), app.id, f"{name}-sink", "127.0.0.1", port,
                encryption=Encryption.NONE, priority=10,
            )
        )  # fmt: skip
        password = new_password()
        login = Credential(new_object_id(), app.id, name, name, hash_secret(password))
        if name == "bombs":
            login = replace(login, options=dict(_FEATURES))
        await directory.save_credential(login)
        logins.append(Login(name, password.reveal()))
    domain = SendingDomain(new_object_id(), first.account, _DOMAIN, "c", proved_at=now_ms)
    await storage.domains.save_domain(domain)
    key = new_key(_DOMAIN, "bombs", Algorithm.ED25519)
    active = DkimKey(key.selector, key.algorithm, key.record, KeyState.ACTIVE)
    await storage.domains.add_keys(domain.id, [(active, key.private_text())])
    await storage.close()
    return logins


class _Run:
    """One run, with all that takes part in it."""

    def __init__(
        self, scale: Scale, node: Node, place: Path, sink: Sink, small_sink: SinkProcess,
        dressed: Login, small: Login,
    ) -> None:  # fmt: skip
        self.scale = scale
        self.node = node
        self.place = place
        self.sink = sink
        self.small_sink = small_sink
        self.dressed = dressed
        self.small = small
        self.client: smtplib.SMTP | None = None
        self.number = 0
        self.signed = 0

    async def prove(self) -> dict[str, object]:
        scale, pid = self.scale, self.node.pid
        chosen = [bomb for bomb in BOMBS if not scale.bombs or bomb.name in scale.bombs]
        assert len(chosen) == len(scale.bombs or BOMBS), "a chosen bomb is no longer there"
        assert (await self._fate(_LETTER)).word == "changed"
        fates: dict[str, Fate] = {}
        async with self._small_mail("quiet", round(scale.rate * scale.quiet_seconds)) as client:
            ended = await asyncio.to_thread(
                wait_until, lambda: not client.running, seconds=scale.quiet_seconds + 60
            )
            assert ended and client.returncode == 0, client.text()
        half = len(chosen) // 2
        async with self._small_mail("beside", 1_000_000) as client:
            for bomb in (*chosen[:half], *PLANTS, *chosen[half:]):
                fates[bomb.name] = await self._fate(bomb)
                _say(f"{bomb}: {fates[bomb.name]}")
                if bomb in PLANTS:
                    assert (await self._fate(_LETTER)).word == "changed", self.node.log_tail()
            assert client.running, client.text()
        paces = {part: await self._paces(part) for part in ("quiet", "beside")}
        assert self.node.pid == pid and self.node.running, self.node.log_tail()
        self._assert_plants_stopped(fates)
        bombs = [fates[bomb.name] for bomb in chosen]
        words = Counter(fate.word for fate in bombs)
        return {
            "bombs": len(bombs),
            **{w: words[w] for w in ("changed", "left", "nothing_to_change", "refused")},
            "changed_in_part": sum(f.word == "changed" and bool(f.remarks) for f in bombs),
            "signed": self.signed,
            "children_ended": {
                "by_bombs": sum(fate.lost for fate in bombs),
                **{plant.name: fates[plant.name].lost for plant in PLANTS},
            },
            "stops_of_the_service": 0,
            "greatest_cpu_of_a_child_seconds": _greatest(fates, chosen),
            "small_mail": {part: _figures(each) for part, each in paces.items()},
            "p99_times": round(
                _figures(paces["beside"])["p99_ms"] / _figures(paces["quiet"])["p99_ms"], 1
            ),
            "remarks": dict(Counter(r for fate in bombs for r in fate.remarks).most_common()),
            "parameters": {**asdict(scale), "settings": dict(_SETTINGS), "features": _FEATURES},
        }

    def _assert_plants_stopped(self, fates: Mapping[str, Fate]) -> None:
        for plant, why in zip(PLANTS, ("processor time", "want of memory"), strict=True):
            fate = fates[plant.name]
            assert fate.word == "left" and fate.lost == 2, f"{plant}: {fate}"
            assert "twice" in fate.remarks[0] and why in fate.remarks[0], f"{plant}: {fate}"

    # --- one bomb ---------------------------------------------------------------------------------

    async def _fate(self, bomb: Bomb) -> Fate:
        """Hand it over, and wait until it has arrived. Raises AssertionError."""
        self.number += 1
        content = await asyncio.to_thread(bomb.make)
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        recipient = f"bomb-{self.number}@example.org"
        spent, lost = child_cpu_seconds(self.node.pid), self._lost()
        reply = await asyncio.to_thread(self._hand_over, recipient, content)
        if not reply.startswith("250"):
            assert reply[:3] in ("500", "550", "552", "554"), f"{bomb}: {reply}"
            return Fate("refused", reply=reply[:200])
        try:
            await self.sink.until(
                lambda: any(recipient in fact["recipients"] for fact in self.sink.taken),
                seconds=_ARRIVAL_SECONDS,
            )
        except TimeoutError:
            raise AssertionError(f"{bomb} did not arrive\n{self.node.log_tail()}") from None
        (came,) = [fact["content"] for fact in self.sink.taken]
        self.sink.facts.clear()
        cpu = child_cpu_seconds(self.node.pid) - spent
        header, _, body = came.partition(b"\r\n\r\n")
        self.signed += _SIGNED.search(header) is not None
        same = body == content.partition(b"\r\n\r\n")[2]
        remarks = await self._remarks(header)
        if not same:
            word = "changed"
        elif remarks:
            word = "left"
        else:
            assert not _has_html(content), f"{bomb} was not changed, and nobody says why"
            word = "nothing_to_change"
        return Fate(word, remarks, round(cpu, 3), self._lost() - lost)

    def _hand_over(self, recipient: str, content: bytes) -> str:
        """The last reply to it, of whichever command."""
        client = self._connected()
        try:
            for command in (
                f"MAIL FROM:<ann@{_DOMAIN}> SIZE={len(content)} BODY=8BITMIME",
                f"RCPT TO:<{recipient}>", "DATA",
            ):  # fmt: skip
                code, words = client.docmd(command)
                if code >= 400:
                    self.part()
                    return f"{code} {words.decode()}"
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            assert client.sock is not None
            client.sock.sendall(b"." * stuffed.startswith(b".") + stuffed + b".\r\n")
            code, words = client.getreply()
            if code >= 400:
                self.part()
            return f"{code} {words.decode()}"
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            self.part()
            return f"lost: {error}"

    def part(self) -> None:
        """Whoever is refused content is often sent away as well; the next one begins anew."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def _connected(self) -> smtplib.SMTP:
        if self.client is None:
            client = smtplib.SMTP("127.0.0.1", self.node.starttls_port, timeout=120)
            client.starttls(
                context=ssl.create_default_context(cafile=str(self.node.data / "ca.pem"))
            )
            client.login(self.dressed.username, self.dressed.password)
            self.client = client
        return self.client

    async def _remarks(self, header: bytes) -> tuple[str, ...]:
        """What its history says of why it was left."""
        found = _ID.search(header)
        assert found is not None, header[:500]
        message = parse_message_id(found[1].decode())
        rows = await asyncio.to_thread(self._events)
        return tuple(
            remark
            for delivery, data in rows
            if int(str(delivery)) >> 10 == message
            for remark in decode(bytes(data), LeftFacts).remarks
        )

    def _events(self) -> list[tuple[Any, ...]]:
        connection = connect(self.node.data / "pillarbox.db", reading=True)
        rows = connection.execute(
            "SELECT delivery, data FROM event WHERE kind = 'message.left_as_it_is'"
        ).fetchall()
        connection.close()
        return rows

    def _lost(self) -> int:
        """Children that a message ended, so far."""
        return self.node.log().count("rendering.lost")

    # --- small mail -------------------------------------------------------------------------------

    def _small_mail(self, part: str, count: int) -> Program:
        """Another app's client, a process of its own."""
        return Program(
            [
                sys.executable, "-m", "tests.doubles.load",
                "--smtp", f"127.0.0.1:{self.node.starttls_port}", "--tls", "starttls",
                "--ca", str(self.node.data / "ca.pem"), "--username", self.small.username,
                f"--password={self.small.password}", "--count", str(count), "--connections", "1",
                "--rate", str(self.scale.rate), "--run", part, "--log", str(self._journal(part)),
                "--max-seconds", "1800",
            ],
            output=self.place / f"{part}.out",
            cwd=ROOT,
        )  # fmt: skip

    def _journal(self, part: str) -> Path:
        return self.place / f"{part}.jsonl"

    async def _paces(self, part: str) -> list[float]:
        """When all that was taken has arrived: milliseconds from MAIL to there, in order."""
        facts = read_journal(self._journal(part))
        wrong = [fact for fact in facts if fact["event"] == "refused"]
        assert not wrong, wrong[:3]
        wanted = {fact["id"]: fact for fact in facts if fact["event"] == "acknowledged"}
        assert wanted, f"void: no small mail in the part {part}"
        at: dict[str, int] = {}
        async with asyncio.timeout(_ARRIVAL_SECONDS):
            while not wanted.keys() <= at.keys():
                at = {fact["id"]: fact["at"] for fact in self.small_sink.taken()}
                await asyncio.sleep(0.02)
        return sorted(at[each] - _begun(fact) for each, fact in wanted.items())


def _begun(fact: Fact) -> float:
    return float(fact["at"] - fact["took_ms"])


def _figures(paces: list[float]) -> dict[str, float]:
    share = {"p50_ms": 0.5, "p99_ms": 0.99, "most_ms": 1.0}
    last = len(paces) - 1
    return {
        "messages": len(paces),
        **{name: round(paces[min(last, int(len(paces) * s))], 1) for name, s in share.items()},
    }


def _greatest(fates: Mapping[str, Fate], bombs: Iterable[Bomb]) -> dict[str, object]:
    """Of those that ended none."""
    found = [(fates[b.name].child_cpu_seconds, b.name) for b in bombs if not fates[b.name].lost]
    seconds, name = max(found)
    return {"seconds": seconds, "bomb": name}


def _has_html(content: bytes) -> bool:
    try:
        return any(isinstance(b, Body) for b in find_bodies(content, read_parts(content)))
    except TooComplex:
        return True


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
