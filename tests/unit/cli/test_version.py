from __future__ import annotations

import json

import pytest

from pillarbox import __version__
from pillarbox.cli.main import run


def test_the_version_is_told_with_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"pillarbox {__version__}   Python 3.")
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__
    assert run(["version", "-q"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
