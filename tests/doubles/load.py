"""programs that hand mail over, many at once, and write down every answer they read

As a library, in the test's own loop::

    settings = LoadSettings(port=port, count=1000, connections=8, tls="starttls",
                            ca_file=certificate.ca, username="u", password="p")
    report = await run_load(settings, Journal(tmp_path / "clients.jsonl"))

or as a process::

    python -m tests.doubles.load --smtp 127.0.0.1:587 --count 1000 --log clients.jsonl
    python -m tests.doubles.load --http http://127.0.0.1:8025 --service email --key KEY ...

Each message has an id of its own (header X-Exp-Id; over HTTP the subject is the id) and is handed
over at most once: what was lost before its final dot is handed over again, what was lost behind
it never is, so any second copy downstream was made there. Every answer read becomes one line of
the journal before the next message is begun (`journal` lists the events). While the server is
away the driver tries again every few milliseconds, for at most `away_seconds`; all in all it
works for at most `max_seconds`. What was not handed over by then is counted as `left_over`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.doubles.journal import Journal, encode_fact
from tests.doubles.letters import Sizes
from tests.doubles.load_http import HttpTarget, HttpWorker
from tests.doubles.load_smtp import SmtpWorker
from tests.doubles.outbox import LoadReport, LoadSettings, Outbox, drive


async def run_load(settings: LoadSettings, journal: Journal | None = None) -> LoadReport:
    """Hand `count` messages over by SMTP. Never raises for what the server does."""
    outbox = Outbox(settings, journal)
    return await drive(outbox, [SmtpWorker(outbox).run() for _ in range(settings.connections)])


async def run_http_load(
    settings: LoadSettings, target: HttpTarget, journal: Journal | None = None
) -> LoadReport:
    """Hand `count` messages over by HTTP. Settings about SMTP mean nothing here.

    `return_path`, unless empty, is sent as ``from_email``.
    """
    outbox = Outbox(settings, journal)
    workers = [HttpWorker(outbox, target).run() for _ in range(settings.connections)]
    return await drive(outbox, workers)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="hand mail over", allow_abbrev=False)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--smtp", metavar="HOST:PORT")
    target.add_argument("--http", metavar="URL", help="scheme, host and port")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--log", type=Path, metavar="FILE")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--per-connection", type=int, default=0)
    parser.add_argument("--tls", choices=("none", "starttls", "implicit"), default="none")
    parser.add_argument("--ca", type=Path, metavar="PEM")
    parser.add_argument("--server-name", default="localhost")
    parser.add_argument("--username")
    parser.add_argument("--password", default="")
    parser.add_argument("--mechanism", choices=("PLAIN", "LOGIN"), default="PLAIN")
    parser.add_argument("--size", type=Sizes.parse, default=Sizes(1024, 1024), metavar="1k-50k")
    parser.add_argument("--attachment-share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="part of every id")
    parser.add_argument("--return-path", default="orders@example.test")
    parser.add_argument("--domains", default="example.test", help="separated by commas")
    parser.add_argument("--max-recipients", type=int, default=1)
    parser.add_argument("--bad-share", type=float, default=0.0)
    parser.add_argument("--deferring-share", type=float, default=0.0)
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--overlap", action="store_true", help="fast mode for benchmarks")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--max-seconds", type=float, default=120.0)
    parser.add_argument("--away-seconds", type=float, default=30.0)
    parser.add_argument("--service", default="email")
    parser.add_argument("--key", default="", help="of the HTTP API")
    parser.add_argument("--loop", choices=("auto", "asyncio"), default="auto")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> LoadSettings:
    host, _, port = (options.smtp or "127.0.0.1:0").rpartition(":")
    return LoadSettings(
        host=host,
        port=int(port),
        count=options.count,
        connections=options.connections,
        per_connection=options.per_connection,
        tls=options.tls,
        ca_file=options.ca,
        server_name=options.server_name,
        username=options.username,
        password=options.password,
        mechanism=options.mechanism,
        sizes=options.size,
        attachment_share=options.attachment_share,
        seed=options.seed,
        run=options.run,
        return_path=options.return_path,
        domains=options.domains.split(","),
        max_recipients=options.max_recipients,
        bad_share=options.bad_share,
        deferring_share=options.deferring_share,
        pipelined=not options.no_pipelining,
        overlap=options.overlap,
        rate=options.rate,
        max_seconds=options.max_seconds,
        away_seconds=options.away_seconds,
    )


async def _run(options: argparse.Namespace) -> LoadReport:
    journal = Journal(options.log) if options.log is not None else None
    settings = _settings(options)
    if options.http is None:
        return await run_load(settings, journal)
    target = HttpTarget.parse(options.http, options.service, options.key)
    return await run_http_load(settings, target, journal)


def main(arguments: Sequence[str] | None = None) -> None:
    """Hand mail over and print the report as one line of JSON."""
    options = _parse(arguments)
    report: LoadReport | None = None
    if options.loop == "auto":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            report = uvloop.run(_run(options))
    if report is None:
        report = asyncio.run(_run(options))
    sys.stdout.write(encode_fact(report.numbers()).decode())


__all__ = ["HttpTarget", "LoadReport", "LoadSettings", "run_http_load", "run_load"]

if __name__ == "__main__":
    main()
