"""stand-ins for everything outside Pillarbox, each tested against its own contract

| module         | stands in for                                                               |
|----------------|-----------------------------------------------------------------------------|
| `bad_server`   | an upstream that does what a `script` says, at any stage of the dialogue     |
| `sink`         | an upstream that takes mail, counts it and survives the death of its client  |
| `load`         | programs that hand mail over, by SMTP (`load_smtp`) and HTTP (`load_http`)   |
| `judge`        | nobody: it joins what clients saw, what the sink saw and what a ledger says  |
| `process`      | the operator: starts, kills and restarts a program, reads its JSON answers   |
| `postfix`      | a private Postfix as upstream, as relaying client, as plain relay            |
| `postgres`     | a database server of the run's own                                           |
| `powercut`     | a disk that loses power                                                      |
| `trace`        | an observer of system calls: was it on disk before it was acknowledged       |

Beside them `journal` (the line format they share), `letters` (mail made from a seed), `outbox`
(what a load driver still has to do, and its settings), `channel` and `records` (the bad server's
connections and what it saw), `certificates` (an authority for the run), `ports` (where nobody
answers) and `usage` (CPU and memory of a process tree).

Nothing here imports the product: a mistake made twice would cancel out. Everything is bounded in
count and time, and nothing leaves the loopback interface.
"""
