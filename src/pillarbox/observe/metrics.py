"""plain counters on the way of a message, gathered when somebody asks for them

Counting is an addition to a dictionary's value; names, help and types are put to it only at a
scrape. No label ever holds a recipient, a domain or anything else a stranger can make up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pillarbox.observe.log import Lost

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "pillarbox_"
_MOST_SERIES: Final = 256

LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
COMMIT_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without prefix, its kind, what it counts, its labels."""

    name: str
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    about: str
    labels: tuple[str, ...] = ()


FAMILIES: Final[dict[str, Family]] = {
    "messages_accepted": Family(
        "messages_accepted_total", "counter", "Messages we took charge of.", ("source",)
    ),
    "messages_rejected": Family(
        "messages_rejected_total", "counter", "Submissions we refused.", ("source", "code")
    ),
    "accepted_bytes": Family(
        "accepted_bytes_total", "counter", "Octets of content taken in charge.", ("source",)
    ),
    "deliveries_accepted": Family(
        "deliveries_accepted_total", "counter", "Recipients we took charge of.", ("state",)
    ),
    "deliveries_settled": Family(
        "deliveries_settled_total", "counter", "Recipients whose fate was settled.", ("state",)
    ),
    "delivery_attempts": Family(
        "delivery_attempts_total",
        "counter",
        "Attempts, one per recipient, by route and by what became of it.",
        ("route", "outcome"),
    ),
    "possible_duplicates": Family(
        "possible_duplicates_total",
        "counter",
        "Deliveries that were lost behind the final dot and may arrive twice.",
    ),
    "delivery_latency": Family(
        "delivery_latency_seconds",
        "histogram",
        "Seconds from taking charge of a recipient to its final state.",
    ),
    "queue_messages": Family(
        "queue_messages", "gauge", "Deliveries waiting, by state.", ("state",)
    ),
    "queue_oldest_age": Family(
        "queue_oldest_age_seconds", "gauge", "Age of the oldest waiting delivery in seconds."
    ),
    "smtp_sessions": Family("smtp_sessions", "gauge", "Open SMTP sessions with submitters."),
    "smtp_sessions_opened": Family(
        "smtp_sessions_opened_total", "counter", "SMTP sessions that were opened.", ("listener",)
    ),
    "tls_certificate_left": Family(
        "tls_certificate_left_seconds",
        "gauge",
        "Seconds until the certificate our SMTP ports show expires; of several, the first to.",
    ),
    "logins": Family(
        "logins_total", "counter", "Logins by porch and result.", ("source", "result")
    ),
    "server_connections": Family(
        "server_connections", "gauge", "Open connections to servers of apps."
    ),
    "server_connections_opened": Family(
        "server_connections_opened_total",
        "counter",
        "Connections to servers of apps, by result.",
        ("result",),
    ),
    "server_pauses": Family(
        "server_pauses_total", "counter", "Times a failing server began to be left alone."
    ),
    "server_quotas_reached": Family(
        "server_quotas_reached_total",
        "counter",
        "Times a server could be given no more, by our count or in its own words.",
    ),
    "notices": Family(
        "notices_total", "counter", "Notices to submitters, by what became of them.", ("result",)
    ),
    "http_requests": Family(
        "http_requests_total", "counter", "HTTP requests by class of status.", ("status",)
    ),
    "webhook_attempts": Family(
        "webhook_attempts_total", "counter", "Webhook calls by outcome.", ("outcome",)
    ),
    "tracking_visits": Family(
        "tracking_visits_total",
        "counter",
        "Tracked links followed and images loaded, by who it was.",
        ("kind", "verdict"),
    ),
    "tracking_refused": Family(
        "tracking_refused_total",
        "counter",
        "Requests to the tracking host that led nowhere, by what was wrong.",
        ("reason",),
    ),
    "tracking_images": Family(
        "tracking_images_total", "counter", "Tracked images, by where they came from.", ("result",)
    ),
    "commit_latency": Family("commit_latency_seconds", "histogram", "Seconds a group commit took."),
    "commit_members": Family(
        "commit_members_total", "counter", "Operations that were committed in groups."
    ),
    "node_lease": Family(
        "node_lease", "gauge", "Whether mail this node holds may leave: 1, or 0 without a lease."
    ),
    "node_leases_lost": Family(
        "node_leases_lost_total", "counter", "Times another node took over from this one."
    ),
    "node_takeovers": Family(
        "node_takeovers_total", "counter", "Dead nodes whose mail this one took over."
    ),
    "log_lines_lost": Family(
        "log_lines_lost_total", "counter", "Log lines that could not be written."
    ),
}
"""Every metric, by the name of the attribute of `Metrics` that counts it."""


class Counts(dict[str | tuple[str, ...], int | float]):
    """Values by label: ``counts["smtp"] += 1``, ``counts["servers", "failed"] += 1``.

    Without labels the key is the empty string. What was never counted reads as 0.
    """

    __slots__ = ()

    def __missing__(self, key: str | tuple[str, ...]) -> int:
        return 0


class Durations:
    """How often what took how long. Cheap enough for every message."""

    __slots__ = ("_bounds", "counts", "total_seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the buckets' upper ends in seconds, ascending."""
        self._bounds = tuple(bounds)
        self.counts = [0] * (len(self._bounds) + 1)
        self.total_seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration; what is negative, the clock having stepped back, counts as none."""
        spent = seconds if seconds > 0 else 0.0
        self.counts[bisect_left(self._bounds, spent)] += 1
        self.total_seconds += spent

    def buckets(self) -> list[tuple[str, float]]:
        """Upper end and number of durations up to it, the last one ``+Inf``."""
        ends = [*map(str, self._bounds), "+Inf"]
        total = 0
        summed: list[tuple[str, float]] = []
        for end, count in zip(ends, self.counts, strict=True):
            total += count
            summed.append((end, total))
        return summed


class Metrics:
    """All counters of one process. One thread counts; a scrape only reads."""

    def __init__(self, *, version: str = "", process: bool = True) -> None:
        """`process` adds CPU seconds, memory and open files of this process."""
        self.messages_accepted = Counts()
        self.messages_rejected = Counts()
        self.accepted_bytes = Counts()
        self.deliveries_accepted = Counts()
        self.deliveries_settled = Counts()
        self.delivery_attempts = Counts()
        self.possible_duplicates = Counts()
        self.delivery_latency = Durations(LATENCY_BUCKETS)
        self.queue_messages = Counts()
        self.queue_oldest_age = Counts()
        self.smtp_sessions = Counts()
        self.smtp_sessions_opened = Counts()
        self.tls_certificate_left = Counts()
        self.logins = Counts()
        self.server_connections = Counts()
        self.server_connections_opened = Counts()
        self.server_pauses = Counts()
        self.server_quotas_reached = Counts()
        self.notices = Counts()
        self.http_requests = Counts()
        self.webhook_attempts = Counts()
        self.tracking_visits = Counts()
        self.tracking_refused = Counts()
        self.tracking_images = Counts()
        self.commit_latency = Durations(COMMIT_BUCKETS)
        self.commit_members = Counts()
        self.node_lease = Counts()
        self.node_leases_lost = Counts()
        self.node_takeovers = Counts()
        self.log_lines_lost = Counts()
        self.version = version
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Gathered(self))
        if process:
            ProcessCollector(registry=self.registry)

    def render(self) -> bytes:
        """The text that Prometheus reads, of the type `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _Gathered(Collector):
    """Puts names and help to the plain numbers when they are asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        self._metrics.log_lines_lost[""] = Lost.lines
        for attribute, family in FAMILIES.items():
            yield _metric(family, getattr(self._metrics, attribute))
        build = InfoMetricFamily(PREFIX + "build", "The version that runs.")
        build.add_metric([], {"version": self._metrics.version})
        yield build


def _metric(family: Family, values: Counts | Durations) -> Metric:
    name = PREFIX + family.name
    if isinstance(values, Durations):
        return HistogramMetricFamily(
            name, family.about, buckets=values.buckets(), sum_value=values.total_seconds
        )
    made: CounterMetricFamily | GaugeMetricFamily
    if family.kind == "counter":
        made = CounterMetricFamily(name, family.about, labels=family.labels)
    else:
        made = GaugeMetricFamily(name, family.about, labels=family.labels)
    if not family.labels:
        made.add_metric([], values[""])
        return made
    # Bounded, should a label ever run wild; the first series seen are the ones people know.
    for key, value in list(values.items())[:_MOST_SERIES]:
        made.add_metric([key] if isinstance(key, str) else list(key), value)
    return made
