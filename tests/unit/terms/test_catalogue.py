"""every problem has all its parts, and every code that is used is in the catalogue"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pillarbox.terms.catalogue as catalogue
from pillarbox.terms.catalogue import CATALOGUE, Problem

SOURCE = Path(catalogue.__file__).resolve().parents[1]

# What people were promised to be told about, whatever else is added.
PROMISED = """
port_in_use port_not_permitted data_dir_locked db_newer_than_program disk_low clock_skew
config_unknown_key config_secret_world_readable auth_failed credential_disabled credential_expired
ip_not_allowed sender_not_allowed recipient_suppressed recipient_invalid message_too_large
rate_limited quota_exceeded attachment_blocked template_variable_missing idempotency_conflict
upstream_unreachable upstream_auth_failed upstream_tls_failed no_route direct_port25_blocked
dns_record_missing dns_record_differs webhook_endpoint_failing content_expired permission_denied
not_found busy_try_later internal
""".split()

EXIT_CODES = {1, 2, 3, 4, 5, 6, 7, 8, 9}


def used_codes() -> dict[str, str]:
    """Every code a class of ours or a raised error names, and the file that names it."""
    used = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for code in _codes(node):
                used[code] = str(path.relative_to(SOURCE))
    return used


def _codes(node: ast.AST) -> list[str]:
    values: list[ast.expr | None] = []
    if isinstance(node, ast.ClassDef):
        for each in node.body:
            if isinstance(each, ast.Assign) and _is_code(each.targets[0]):
                values.append(each.value)
            elif isinstance(each, ast.AnnAssign) and _is_code(each.target):
                values.append(each.value)
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        values += [keyword.value for keyword in node.exc.keywords if keyword.arg == "code"]
    return [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]


def _is_code(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "code"


@pytest.mark.parametrize("code", PROMISED)
def test_a_promised_code_is_there(code: str) -> None:
    assert code in CATALOGUE


def test_every_code_in_use_is_in_the_catalogue() -> None:
    used = used_codes()
    assert "internal" in used
    missing = {code: path for code, path in used.items() if code not in CATALOGUE}
    assert not missing


@pytest.mark.parametrize("problem", CATALOGUE.values(), ids=lambda problem: problem.code)
def test_no_problem_is_missing_its_parts(problem: Problem) -> None:
    assert problem.code == problem.code.lower().replace("-", "_")
    assert problem.title
    assert not problem.title.endswith(".")
    assert len(problem.title) < 40
    assert problem.about.endswith(".")
    assert problem.fix.endswith(".")
    assert problem.about != problem.fix
    assert 400 <= problem.http_status <= 599
    assert problem.exit_code in EXIT_CODES


@pytest.mark.parametrize("problem", CATALOGUE.values(), ids=lambda problem: problem.code)
def test_an_smtp_code_agrees_with_its_enhanced_status(problem: Problem) -> None:
    if problem.smtp is None:
        return
    code, status = problem.smtp.split(" ")
    assert code[0] == status[0]
    assert code[0] in "45"
    assert len(code) == 3
    assert all(part.isdigit() for part in status.split("."))


@pytest.mark.parametrize("problem", CATALOGUE.values(), ids=lambda problem: problem.code)
def test_what_may_pass_by_itself_is_temporary_on_every_face(problem: Problem) -> None:
    if problem.http_status in (429, 503, 507) and problem.smtp is not None:
        assert problem.smtp.startswith("4")
    if problem.http_status == 404:
        assert problem.exit_code == 3


def test_codes_and_titles_are_each_used_once() -> None:
    assert all(code == problem.code for code, problem in CATALOGUE.items())
    titles = [problem.title for problem in CATALOGUE.values()]
    assert len(set(titles)) == len(titles)
    text = Path(catalogue.__file__).read_text(encoding="utf-8")
    assert text.count("    Problem(") == len(CATALOGUE)
