"""every room's config, filled from the sources and checked as a whole"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pillarbox.settings.process import CHECKS, CUTOFF, Process, suggest
from pillarbox.settings.sources import (
    Given,
    InvalidSettings,
    Mistake,
    Sources,
    anchored,
)
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import (
    InvalidSetting,
    about,
    default_of,
    is_secret,
    read_text,
    read_value,
)

if TYPE_CHECKING:
    from pillarbox.api.config import ApiConfig
    from pillarbox.handover.config import DoorConfig, TrackingConfig
    from pillarbox.net.acme import AcmeConfig
    from pillarbox.net.certificates import TlsConfig
    from pillarbox.net.dns_servers import DnsConfig
    from pillarbox.net.http_server import HttpConfig
    from pillarbox.net.smtp_client import ClientTimeouts
    from pillarbox.net.smtp_ports import SmtpConfig
    from pillarbox.net.workers import WorkersConfig
    from pillarbox.observe.log import LogConfig
    from pillarbox.policy.breaker import BreakerConfig
    from pillarbox.policy.connecting import ConnectConfig
    from pillarbox.policy.mx import DirectConfig
    from pillarbox.policy.retry import RetryConfig
    from pillarbox.policy.site import SiteConfig
    from pillarbox.policy.throttle import ThrottleConfig
    from pillarbox.services.delivery.config import DeliveryConfig
    from pillarbox.services.delivery.tls_plans import TlsPolicyConfig
    from pillarbox.services.domains.look import DomainsConfig
    from pillarbox.services.tracking.config import TrackingHostConfig
    from pillarbox.services.upkeep.rounds import UpkeepConfig
    from pillarbox.services.upkeep.tls_reports import TlsReportConfig

_MAX_SECRET_BYTES: Final = 64 * 1024
_OTHERS_MAY_READ: Final = 0o044
_MAX_PORT: Final = 65535
_SPAN: Final = re.compile(r"(^|_)(ms|seconds|minutes|hours|days|bytes|kb|mb|gb)$")
_PORT: Final = re.compile(r"(^|_)ports?$")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Each room receives its own part, never the whole."""

    data_dir: Path
    """Absolute."""
    hostname: str
    database_url: Secret
    secret_key: Secret
    node: str
    roles: tuple[str, ...]
    smtp: SmtpConfig
    http: HttpConfig
    api: ApiConfig
    logins: ThrottleConfig
    tls: TlsConfig
    acme: AcmeConfig
    connect: ConnectConfig
    accept: DoorConfig
    tracking: TrackingConfig
    rendering: WorkersConfig
    tracking_host: TrackingHostConfig
    tracking_tls: TlsConfig
    delivery: DeliveryConfig
    retry: RetryConfig
    breaker: BreakerConfig
    timeouts: ClientTimeouts
    dns: DnsConfig
    direct: DirectConfig
    sites: SiteConfig
    tls_policy: TlsPolicyConfig
    tls_reports: TlsReportConfig
    domains: DomainsConfig
    retention: UpkeepConfig
    log: LogConfig
    mail_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those of other programs, for the default app; one of them is a password."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting for people: what it is, what it is set to, and by whom."""

    key: str
    kind: Any
    default: Any
    about: str
    secret: bool
    value: Any = None
    origin: str = "default"


def all_rooms() -> dict[str, type]:
    """The config dataclass of each section. Imports the rooms, hence a function."""
    from pillarbox.api.config import ApiConfig
    from pillarbox.handover.config import DoorConfig, TrackingConfig
    from pillarbox.net.acme import AcmeConfig
    from pillarbox.net.certificates import TlsConfig
    from pillarbox.net.dns_servers import DnsConfig
    from pillarbox.net.http_server import HttpConfig
    from pillarbox.net.smtp_client import ClientTimeouts
    from pillarbox.net.smtp_ports import SmtpConfig
    from pillarbox.net.workers import WorkersConfig
    from pillarbox.observe.log import LogConfig
    from pillarbox.policy.breaker import BreakerConfig
    from pillarbox.policy.connecting import ConnectConfig
    from pillarbox.policy.mx import DirectConfig
    from pillarbox.policy.retry import RetryConfig
    from pillarbox.policy.site import SiteConfig
    from pillarbox.policy.throttle import ThrottleConfig
    from pillarbox.services.delivery.config import DeliveryConfig
    from pillarbox.services.delivery.tls_plans import TlsPolicyConfig
    from pillarbox.services.domains.look import DomainsConfig
    from pillarbox.services.tracking.config import TrackingHostConfig
    from pillarbox.services.upkeep.rounds import UpkeepConfig
    from pillarbox.services.upkeep.tls_reports import TlsReportConfig

    return {
        "smtp": SmtpConfig,
        "http": HttpConfig,
        "api": ApiConfig,
        "logins": ThrottleConfig,
        "tls": TlsConfig,
        "acme": AcmeConfig,
        "connect": ConnectConfig,
        "accept": DoorConfig,
        "tracking": TrackingConfig,
        "rendering": WorkersConfig,
        "tracking_host": TrackingHostConfig,
        "tracking_tls": TlsConfig,
        "delivery": DeliveryConfig,
        "retry": RetryConfig,
        "breaker": BreakerConfig,
        "timeouts": ClientTimeouts,
        "dns": DnsConfig,
        "direct": DirectConfig,
        "sites": SiteConfig,
        "tls_policy": TlsPolicyConfig,
        "tls_reports": TlsReportConfig,
        "domains": DomainsConfig,
        "retention": UpkeepConfig,
        "log": LogConfig,
    }


def known(rooms: Mapping[str, type]) -> list[Entry]:
    """Every setting there is, with its default, in the order of the rooms' declarations."""
    return [
        Entry(
            key=f"{section}.{field.name}" if section else field.name,
            kind=kinds[field.name],
            default=default_of(field),
            about=about(field),
            secret=is_secret(field),
        )
        for section, room in [("", Process), *rooms.items()]
        for kinds in [typing.get_type_hints(room)]
        for field in dataclasses.fields(room)
    ]


def load(sources: Sources) -> Settings:
    """Check everything and build the settings. Raises `InvalidSettings` with all mistakes."""
    entries, configs, mistakes = check(sources, all_rooms())
    if mistakes:
        raise InvalidSettings(mistakes)
    values = {entry.key: entry.value for entry in entries if "." not in entry.key}
    return Settings(**values, **configs)


def check(
    sources: Sources, rooms: Mapping[str, type]
) -> tuple[list[Entry], dict[str, Any], list[Mistake]]:
    """Every setting with value and origin, the filled config of each room, and all mistakes.

    A setting with a mistake shows its default; the config of a room that has one is missing.
    """
    mistakes = list(sources.mistakes)
    schema = {entry.key: entry for entry in known(rooms)}
    sources = _with_secret_files(sources, schema, mistakes)
    mistakes.extend(_unknown_keys(sources, schema, rooms))
    filled: dict[str, Entry] = {}
    broken: set[str] = set()
    for key, entry in schema.items():
        found = sources.given(key)
        value, origin = _settled_default(entry), "default"
        if found:
            try:
                value, origin = _read(entry, found), found.origin
            except PillarboxError as wrong:
                mistakes.append(
                    Mistake(found.origin, f"{key} {wrong.sentence}", wrong.error_code, key)
                )
                broken.add(key.partition(".")[0])
        filled[key] = dataclasses.replace(entry, value=value, origin=origin)
    configs: dict[str, Any] = {}
    for section, room in rooms.items():
        if section in broken:
            continue
        values = {f.name: filled[f"{section}.{f.name}"].value for f in dataclasses.fields(room)}
        try:
            configs[section] = room(**values)
        except (PillarboxError, ValueError) as wrong:
            sentence = wrong.sentence if isinstance(wrong, PillarboxError) else str(wrong)
            blamed = _blamed(section, sentence, filled)
            mistakes.append(
                Mistake(blamed.origin, sentence, key=blamed.key)
                if blamed
                else Mistake(f"[{section}]", sentence)
            )
    return list(filled.values()), configs, mistakes


def _read(entry: Entry, found: Given) -> Any:
    if found.is_text:
        value = read_text(entry.kind, str(found.value))
    else:
        value = read_value(entry.kind, found.value)
    name = entry.key.rpartition(".")[2]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float):
            _check_range(name, number)
    checked = CHECKS.get(entry.key)
    if checked is not None:
        return checked(value)
    if isinstance(value, Path):
        return anchored(value, found)
    if isinstance(value, str) and value and name.endswith("_file"):
        return str(anchored(Path(value), found))
    if isinstance(value, tuple) and name.endswith("_files"):
        return tuple(str(anchored(Path(each), found)) for each in value)
    return value


def _check_range(name: str, number: float) -> None:
    """What the name of a setting says about its numbers."""
    if _SPAN.search(name) and number < 0:
        raise InvalidSetting(f"cannot be less than 0, found {number}")
    if _PORT.search(name) and not 0 <= number <= _MAX_PORT:
        raise InvalidSetting(f"is a port, from 0 to {_MAX_PORT}, found {number}")


def _blamed(section: str, sentence: str, filled: Mapping[str, Entry]) -> Entry | None:
    """Where to look when a room refuses its settings: at the one it names, or that was set."""
    entries = [entry for entry in filled.values() if entry.key.startswith(f"{section}.")]
    given = [entry for entry in entries if entry.origin != "default"]
    named = [entry for entry in given if entry.key.rpartition(".")[2] in sentence]
    return next(iter([*named, *given]), None)


def _settled_default(entry: Entry) -> Any:
    return anchored(entry.default, None) if isinstance(entry.default, Path) else entry.default


def _unknown_keys(
    sources: Sources, schema: Mapping[str, Entry], rooms: Mapping[str, type]
) -> Iterator[Mistake]:
    for layer in sources.layers:
        strange: set[str] = set()
        for key, given in layer.items():
            section, dot, _ = key.partition(".")
            if key in schema or section in strange:
                continue
            if dot and section not in rooms:
                strange.add(section)
                sentence = f"there is no section {section}{suggest(section, rooms)}"
            else:
                sentence = f"unknown key {key}{_meant(key, schema)}"
            yield Mistake(given.origin, sentence, "config_unknown_key")


def _meant(key: str, schema: Iterable[str]) -> str:
    """A guess: the same name in another section, or a similar one in this."""
    section, dot, name = key.rpartition(".")
    moved = [known_key for known_key in schema if known_key.rpartition(".")[2] == name]
    beside = [k.removeprefix(section + dot) for k in schema if k.rpartition(".")[0] == section]
    close = get_close_matches(name, beside, 1, CUTOFF)
    found = moved or [section + dot + each for each in close]
    return f"; did you mean {found[0]}?" if found else ""


def _with_secret_files(
    sources: Sources, schema: Mapping[str, Entry], mistakes: list[Mistake]
) -> Sources:
    """Read the secrets for which the environment names a file; refuse those others can read."""
    layers = []
    for layer in sources.layers:
        filled = dict(layer)
        for key, given in layer.items():
            entry = schema.get(key)
            if entry and entry.secret and given.file:
                mistakes.extend(_if_readable_by_others(given.file, given))
            meant = schema.get(key.removesuffix("_file"))
            if entry is None and given.is_text and meant and meant.secret:
                del filled[key]
                path = Path(str(given.value))
                try:
                    with path.open("rb") as file:
                        text = file.read(_MAX_SECRET_BYTES).decode().rstrip("\r\n")
                except (OSError, UnicodeDecodeError) as wrong:
                    mistakes.append(Mistake(given.origin, f"cannot read {path}: {wrong}"))
                    continue
                mistakes.extend(_if_readable_by_others(path, given))
                filled[meant.key] = Given(text, given.origin)
        layers.append(filled)
    return Sources(tuple(layers), sources.mistakes)


def _if_readable_by_others(path: Path, given: Given) -> Iterator[Mistake]:
    if path.stat().st_mode & _OTHERS_MAY_READ:
        sentence = f"{path} holds a secret and can be read by others; chmod 600 {path}"
        yield Mistake(given.origin, sentence, "config_secret_world_readable")
