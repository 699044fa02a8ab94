"""claims with numbers: each module here proves one, in two sizes, and leaves a record

A proof is a module ``tests/proofs/NAME.py``. The first line of its docstring is the claim, as a
sentence. It offers one function::

    def prove(size: str) -> dict[str, object]:
        '''Do it, in the size "small" (seconds, part of ./do test) or "full" (as published).'''

- It raises `AssertionError` where the claim does not hold. Nothing is recorded then.
- It returns what was counted and measured, as JSON can hold it: counts, figures, parameters, and
  what was on. Counts come first; times and rates belong in the record and are never asserted.
  A key ``versions`` (name to version) adds the versions of peers that took part.
- It brings up what it needs and takes it down again, on loopback, and never waits for a fixed time
  where it can wait for a condition. Progress may be written to stderr.
- What it needs beyond Python is named in ``NEEDS: tuple[str, ...]`` (see `tests.components`).
- A test calls ``prove("small")``, so that both sizes are the same code.

``./do prove NAME`` runs ``prove("full")`` and writes docs/proofs/NAME.json: the claim, what the
proof returned, and beside it size, versions, machine, commit, date and duration. It refuses where
the work tree holds changes that were not committed, because the record could not name what was
run; ``--dirty`` runs all the same and says so in the record. ``--no-record`` only prints.
``--size small`` is for trying a proof out, and never writes a record.

A proof without a record, or a record whose commit is not in this history, fails
``tests/house/test_proofs.py``. So: commit the proof, run it, commit the record.
"""

from __future__ import annotations
