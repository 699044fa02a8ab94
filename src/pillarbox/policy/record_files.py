"""records of a domain as files that other programs read: a zone file, a table, Terraform"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pillarbox.policy.domain_findings import Wanted
from pillarbox.policy.domain_records import UNNAMED

TTL_SECONDS: Final = 3600
_ESCAPED: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def zone_lines(records: Iterable[Wanted], values: Iterable[str]) -> list[str]:
    """As lines of a zone file; long texts in strings of at most 255 octets.

    What is not to be published yet stands in comments, with the reason before it.
    """
    lines = []
    for record, value in zip(records, values, strict=True):
        line = f"{record.name}. IN {record.type} {_zone_value(record.type, value)}"
        if _waits(record):
            lines += [f"; {record.why}", f"; {line}"]
        else:
            lines.append(line)
    return lines


def csv_lines(records: Iterable[Wanted], values: Iterable[str]) -> list[str]:
    """As a table (RFC 4180) with a row of headings; what is not to be published yet is left out."""
    lines = ["name,type,ttl,value"]
    for record, value in zip(records, values, strict=True):
        if not _waits(record):
            cells = (record.name, record.type, str(TTL_SECONDS), value)
            lines.append(",".join(map(_cell, cells)))
    return lines


def terraform_lines(name: str, records: Sequence[Wanted], values: Iterable[str]) -> list[str]:
    """As a map of Terraform, over which a provider's resource goes with ``for_each``. How such a
    resource wants long texts and SRV records differs from one to the next.

    What is not to be published yet stands in comments, with the reason before it.
    """
    title = "pillarbox_" + "".join(c if c.isalnum() else "_" for c in name)
    lines = [
        f"# resource ... {{ for_each = local.{title}, name = each.value.name, and so on }}",
        "locals {", f"  {title} = {{",
    ]  # fmt: skip
    named: set[tuple[str, str]] = set()
    for record, value in zip(records, values, strict=True):
        if (record.type, record.name) in named:
            continue  # a key stands in a map once; they lead to the same place
        named.add((record.type, record.name))
        facts = (
            f"name = {_hcl(record.name)}, type = {_hcl(record.type)}, ttl = {TTL_SECONDS}, "
            f"value = {_hcl(value)}"
        )
        line = f"{_hcl(f'{record.type} {record.name}')} = {{ {facts} }}"
        lines += [f"    # {record.why}", f"    # {line}"] if _waits(record) else [f"    {line}"]
    return [*lines, "  }", "}"]


def _waits(record: Wanted) -> bool:
    return record.why.startswith(UNNAMED)


def _zone_value(kind: str, value: str) -> str:
    if kind != "TXT":
        return f"{value}."
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[at : at + 250]}"' for at in range(0, len(escaped), 250))


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in '",\r\n') else text


def _hcl(text: str) -> str:
    """A quoted string; what would begin a template is doubled."""
    escaped = "".join(_ESCAPED.get(c, c) for c in text)
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'
