"""relaying measured beside Debian's Postfix: paired rounds, every message counted at the sink

::

    python -m tests.bench                    # all cells; ./do bench calls this
    python -m tests.bench --quick            # two short rounds of two cells, for development
    python -m tests.bench --cells '10KB-*'   # some of them; docs/performance.md says more

| module    | what it knows                                                                   |
|-----------|---------------------------------------------------------------------------------|
| `cells`   | which mail, over how many sessions, how often connecting                        |
| `place`   | the disk that both relays share                                                 |
| `peers`   | how each relay is started, and what it has on                                   |
| `meter`   | CPU and memory of a whole process tree, and when it has come to rest            |
| `turn`    | one relay driven once: smtp-source in front, smtp-sink behind                   |
| `rounds`  | turns in pairs, and what their ratios come to                                   |
| `correct` | the pass without a clock: every message once, every byte, synced before the 250 |
| `record`  | all of it together, as JSON and as a table                                      |
| `targets` | what the figures are held against                                               |

What is timed is timed from outside: wall clock at the sink, CPU from /proc. Nothing here looks
into the product.
"""

from __future__ import annotations
