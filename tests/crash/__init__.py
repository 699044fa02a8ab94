"""the process dies at each step of docs/queue.md, and what is on disk afterwards is looked at

| module    | what it is                                                            |
|-----------|-----------------------------------------------------------------------|
| `relay`   | Pillarbox as its operator has it: a process, settings, its own words   |
| `ledger`  | its database, read from outside while it runs or after it died         |
| `letter`  | one message handed over in clear, and what the client was told         |
| `cluster` | several of it on one PostgreSQL, which can be restarted and cut off     |
| `cluster_ledger` | that database, asked the same questions                         |
| `audit`   | triggers that note every change of owner, and what must not be in them  |
| `probe`   | a client that asks every door what it says while the database is away   |
| `hosts`   | network namespaces as separate hosts, and a cable that can be pulled    |
| `old_store` | a store with a history, to be moved                                   |

The proofs that need more than one message lie in `tests.proofs` and stand on the same modules.
"""
