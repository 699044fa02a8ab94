"""plain counters become what Prometheus reads, with names, help and bounded labels"""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pillarbox.observe.log import Lost
from pillarbox.observe.metrics import FAMILIES, PREFIX, Counts, Durations, Metrics


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_family_is_counted_and_every_counter_has_a_family() -> None:
    metrics = Metrics(process=False)
    counted = {name for name, v in vars(metrics).items() if isinstance(v, Counts | Durations)}
    assert counted == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_names_have_units_and_help_is_a_sentence(family) -> None:
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.about.endswith(".")
    assert not {"recipient", "domain", "address", "message"} & set(family.labels)


def test_the_promised_names_are_there_from_the_start() -> None:
    text = Metrics(version="1.2.3", process=False).render().decode()
    for name in (
        "messages_accepted_total",
        "delivery_attempts_total",
        "delivery_latency_seconds",
        "queue_messages",
        "queue_oldest_age_seconds",
        "smtp_sessions",
        "node_lease",
        "webhook_attempts_total",
        "build_info",
    ):
        assert f"# HELP {PREFIX}{name} " in text
    assert 'pillarbox_build_info{version="1.2.3"} 1.0' in text


def test_what_was_counted_is_scraped_under_its_labels() -> None:
    metrics = Metrics(process=False)
    metrics.messages_accepted["smtp"] += 1
    metrics.messages_accepted["smtp"] += 1
    metrics.delivery_attempts["servers", "handed_over"] += 3
    metrics.possible_duplicates[""] += 1
    metrics.smtp_sessions[""] += 5
    metrics.smtp_sessions[""] -= 2
    metrics.queue_messages["deferred"] = 7
    found = scraped(metrics)
    assert found["pillarbox_messages_accepted_total", (("source", "smtp"),)] == 2
    outcome = (("outcome", "handed_over"), ("route", "servers"))
    assert found["pillarbox_delivery_attempts_total", outcome] == 3
    assert found["pillarbox_possible_duplicates_total", ()] == 1
    assert found["pillarbox_smtp_sessions", ()] == 3
    assert found["pillarbox_queue_messages", (("state", "deferred"),)] == 7


def test_durations_fall_into_buckets_that_add_up() -> None:
    metrics = Metrics(process=False)
    for seconds in (0.005, 0.2, 0.3, 4000.0, -5.0):
        metrics.delivery_latency.observe(seconds)
    found = scraped(metrics)
    name = "pillarbox_delivery_latency_seconds"
    assert found[f"{name}_bucket", (("le", "0.005"),)] == 2
    assert found[f"{name}_bucket", (("le", "0.25"),)] == 3
    assert found[f"{name}_bucket", (("le", "3600.0"),)] == 4
    assert found[f"{name}_bucket", (("le", "+Inf"),)] == 5
    assert found[f"{name}_count", ()] == 5
    assert found[f"{name}_sum", ()] == pytest.approx(4000.505)


def test_looking_at_what_was_never_counted_makes_no_series() -> None:
    metrics = Metrics(process=False)
    assert metrics.logins["smtp", "accepted"] == 0
    assert not metrics.logins


def test_a_label_run_wild_does_not_blow_up_the_scrape() -> None:
    metrics = Metrics(process=False)
    for n in range(5000):
        metrics.messages_rejected["smtp", str(n)] += 1
    assert sum(name == "pillarbox_messages_rejected_total" for name, _ in scraped(metrics)) == 256


def test_lost_log_lines_are_told() -> None:
    metrics = Metrics(process=False)
    assert scraped(metrics)["pillarbox_log_lines_lost_total", ()] == Lost.lines


def test_memory_and_files_of_the_process_come_along() -> None:
    assert b"process_open_fds" in Metrics().render()
