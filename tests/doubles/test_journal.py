"""journals: nothing torn, nothing lost, nothing read twice"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.doubles.journal import Journal, JournalTail, encode_fact, read_journal


def test_facts_come_back_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.write("taken", id="exp-1", recipients=["ü@example.test"], size=3)
    journal.write("lost", open=[])
    journal.close()
    journal.close()
    facts = read_journal(tmp_path / "j")
    assert [fact["event"] for fact in facts] == ["taken", "lost"]
    assert facts[0]["recipients"] == ["ü@example.test"] and facts[0]["at"] > 0


def test_a_line_that_is_being_written_is_left_out_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "j"
    whole = encode_fact({"event": "taken", "id": "a"})
    path.write_bytes(whole + whole[:7])
    tail = JournalTail(path)
    assert len(tail.new_facts()) == 1
    assert tail.new_facts() == []
    with path.open("ab") as file:
        file.write(whole[7:])
    assert tail.new_facts() == [{"event": "taken", "id": "a"}]


def test_several_writers_share_a_file(tmp_path: Path) -> None:
    journals = [Journal(tmp_path / "j") for _ in range(2)]
    for number in range(10):
        journals[number % 2].write("taken", id=str(number))
    assert [fact["id"] for fact in read_journal(tmp_path / "j")] == [str(n) for n in range(10)]
    for journal in journals:
        journal.close()


def test_what_was_written_survives_the_writer_being_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from tests.doubles.journal import Journal;"
        "Journal(sys.argv[1]).write('taken', id='last words'); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, f"{tmp_path}/j"], cwd=root, check=False)
    assert done.returncode == -9
    assert read_journal(tmp_path / "j")[0]["id"] == "last words"


def test_events_can_be_counted_without_being_decoded(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path / "j")
    assert tail.count_new("taken") == 0
    journal = Journal(tmp_path / "j")
    for event in ("taken", "lost", "taken"):
        journal.write(event)
    journal.close()
    assert tail.count_new("taken") == 2
    assert tail.count_new("taken") == 0
