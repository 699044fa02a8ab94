"""the process dies at each step of docs/queue.md, and what is on disk afterwards is looked at

| module    | what it is                                                            |
|-----------|-----------------------------------------------------------------------|
| `relay`   | Pillarbox as its operator has it: a process, settings, its own words   |
| `ledger`  | its database, read from outside while it runs or after it died         |
| `letter`  | one message handed over in clear, and what the client was told         |

The proofs that need more than one message lie in `tests.proofs` and stand on the same modules.
"""
