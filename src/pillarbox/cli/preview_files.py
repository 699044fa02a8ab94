"""files previewed here and now: no server, no network, no data directory"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pillarbox.cli.errors import Unreadable, WrongUsage
from pillarbox.cli.output import format_bytes
from pillarbox.terms.errors import PillarboxError

if TYPE_CHECKING:
    from pillarbox.message.dkim import SigningKey
    from pillarbox.message.rehearsal import Arrived, Asked, Rehearsal
    from pillarbox.net.workers import Workers

_SMALL_BYTES: Final = 256 * 1024
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one file."""
_MOST_KEY_BYTES: Final = 64 * 1024
_NOWHERE: Final = "track.invalid"  # RFC 2606 §2: it will never be anybody's
_HOSTNAME: Final = "preview.invalid"
_TRACKING: Final = ("trackclicks", "trackopens", "images", "unsubscribe")


@dataclass(frozen=True, slots=True)
class FileWishes:
    """What is to be done to files."""

    options: Mapping[str, str]
    sign: Sequence[str] = ()
    """Each as DOMAIN:SELECTOR:KEYFILE."""
    tracking_host: str | None = None
    exceptions: Sequence[str] = ()
    seven_bit: bool = False


class Rehearsals:
    """Previews files in the same way, one by one."""

    def __init__(self, wishes: FileWishes) -> None:
        """Raises `WrongUsage` for a key that cannot be read, and for what is no host name."""
        from asyncio import Runner

        from pillarbox.message.keys import RenderKeys, key_id
        from pillarbox.message.rehearsal import REHEARSED_TOKENS
        from pillarbox.message.render import Hop

        signing = {key_id(key.domain, key.selector): key for key in map(_signing_key, wishes.sign)}
        self._keys = RenderKeys(REHEARSED_TOKENS, signing)
        self._hop = Hop(eight_bit=not wishes.seven_bit, smtputf8=not wishes.seven_bit)
        self._asked = _asked(wishes, tuple(signing))
        self._made_up = wishes.tracking_host is None
        self._runner = Runner()
        self._workers: Workers | None = None

    def one(self, file: str) -> tuple[dict[str, Any], bytes]:
        """The document, with the field names of the HTTP API, and the content that would leave.

        Raises `WrongUsage` where it cannot be read, and what the door and rendering raise.
        """
        import msgspec

        from pillarbox.message.rehearsal import arrive, rehearse
        from pillarbox.message.transfer import with_mail_line_ends
        from pillarbox.message.wishes import inlines_styles
        from pillarbox.services.delivery.render_job import styles_without_work

        data = _read(file)
        came = with_mail_line_ends(data)
        arrived = arrive(came, self._asked)
        remarks = []
        if came is not data:
            remarks.append("Its line ends were made those of mail, CRLF; that is not shown.")
        options = arrived.facts.options
        if self._made_up and any(
            name in options and options[name].value in ("true", "hosted") for name in _TRACKING
        ):
            remarks.append(f"The tracking host {_NOWHERE} is made up; --tracking-host names yours.")
        said = tuple(remarks)
        # What is no UTF-8 in a name cannot be told.
        name = file.encode("utf-8", "replace").decode("utf-8")
        inlines = inlines_styles(arrived.facts) and styles_without_work(arrived.content) is None
        if len(came) > _SMALL_BYTES or inlines:
            told, content = self._in_child(name, arrived, came, said)
        else:
            told, content = rehearse(name, arrived, self._hop, self._keys, came=came, remarks=said)
        return msgspec.to_builtins(told), content

    def close(self) -> None:
        """End the child, where there is one."""
        if self._workers is not None:
            self._runner.run(self._workers.close())
        self._runner.close()

    def _in_child(
        self, name: str, arrived: Arrived, came: bytes, remarks: tuple[str, ...]
    ) -> tuple[Rehearsal, bytes]:
        """Where delivery would do it in a child, for the same reasons and within the same bounds."""
        from pillarbox.net.workers import Workers, WorkersConfig
        from pillarbox.services.delivery.rehearsal_job import MODULE, rehearse_in_child

        if self._workers is None:
            self._workers = Workers(MODULE, WorkersConfig(processes=1))
        return self._runner.run(
            rehearse_in_child(self._workers, name, arrived, self._hop, self._keys, came, remarks)
        )


def _asked(wishes: FileWishes, key_ids: tuple[str, ...]) -> Asked:
    from pillarbox.message.rehearsal import Asked
    from pillarbox.terms.clock import SystemClock
    from pillarbox.terms.hostname import InvalidHostname, parse_domain

    try:
        host = parse_domain(wishes.tracking_host or _NOWHERE)
    except InvalidHostname as wrong:
        raise WrongUsage(f"--tracking-host: {wrong.sentence}") from wrong
    return Asked(
        SystemClock().now_ms(),
        hostname=_HOSTNAME,
        request=wishes.options,
        lenient=True,
        tracking_host=host,
        exceptions=tuple(wishes.exceptions),
        key_ids=key_ids,
    )


def _signing_key(said: str) -> SigningKey:
    from pillarbox.message.dkim import read_key
    from pillarbox.message.errors import UnusableKey
    from pillarbox.terms.hostname import InvalidHostname, parse_domain
    from pillarbox.terms.secret import Secret

    domain, _, rest = said.partition(":")
    selector, _, file = rest.partition(":")
    if not (domain and selector and file):
        raise WrongUsage(
            f"--sign {said!r} names no domain, selector and key file",
            fix="write --sign example.com:mail2026:key.pem",
        )
    try:
        with Path(file).open("rb") as stream:
            text = stream.read(_MOST_KEY_BYTES).decode("ascii", "replace")
        parse_domain(selector)
        return read_key(parse_domain(domain), selector, Secret(text))
    except OSError as wrong:
        raise Unreadable(file, wrong) from wrong
    except (InvalidHostname, UnusableKey) as wrong:
        raise WrongUsage(f"--sign {domain}:{selector}: {wrong.sentence}") from wrong


def _read(file: str) -> bytes:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MOST_BYTES + 1)
    except OSError as wrong:
        raise Unreadable(file, wrong) from wrong
    if len(data) > MOST_BYTES:
        raise PillarboxError(
            f"{file} is larger than {format_bytes(MOST_BYTES)}", code="message_too_large"
        )
    return data
