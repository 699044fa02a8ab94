"""what becomes of mail at every stage and in every way in which a server may misbehave there

Read a line of the table so: at this stage, in this way; what is held against the server, with its
errors in a row afterwards. Then, where it is the app's only server, the ending of a single recipient,
and those of a good one and the bad one of three: ``!`` failed, ``+`` taken, otherwise deferred, with
the category. Then, where another server stands behind it, who has copies: of the single one, and of
a good one and the bad one. A digit is a copy at that server: two mean that it came twice.

At RCPT the bad one alone meets the misbehaviour; elsewhere all do, and the bad one of three is
unknown to either server, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from pillarbox.policy.breaker import BreakerConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.services.delivery.config import DeliveryConfig
from tests.doubles.certificates import issue_certificate
from tests.doubles.script import Stage
from tests.fix_house import Houses
from tests.service.reply_matrix import HOWS, ONE, REPLIES, THREE, Play, Player

TABLE: Final = """
banner    4xx       blamed 1   busy               busy busy                              2   2 -
banner    5xx       blamed 1   refuses_us         refuses_us refuses_us                  2   2 -
banner    421       blamed 1   busy               busy busy                              2   2 -
banner    drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 -
banner    stall     blamed 1   no_answer          no_answer no_answer                    2   2 -
banner    garbage   blamed 1   garbage            garbage garbage                        2   2 -
banner    oversize  blamed 1   garbage            garbage garbage                        2   2 -

ehlo      4xx       blamed 1   busy               busy busy                              2   2 -
ehlo      5xx       blamed 1   refuses_us         refuses_us refuses_us                  2   2 -
ehlo      421       blamed 1   busy               busy busy                              2   2 -
ehlo      drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 -
ehlo      stall     blamed 1   no_answer          no_answer no_answer                    2   2 -
ehlo      garbage   blamed 1   garbage            garbage garbage                        2   2 -
ehlo      oversize  blamed 1   garbage            garbage garbage                        2   2 -

starttls  4xx       paused 1   tls_failed         tls_failed tls_failed                  2   2 -
starttls  5xx       paused 1   tls_failed         tls_failed tls_failed                  2   2 -
starttls  421       blamed 1   busy               busy busy                              2   2 -
starttls  drop      paused 1   tls_failed         tls_failed tls_failed                  2   2 -
starttls  stall     paused 1   tls_failed         tls_failed tls_failed                  2   2 -
starttls  garbage   paused 1   tls_failed         tls_failed tls_failed                  2   2 -
starttls  oversize  paused 1   tls_failed         tls_failed tls_failed                  2   2 -

auth      4xx       blamed 1   login_unavailable  login_unavailable login_unavailable    2   2 -
auth      5xx       paused 1   login_refused      login_refused login_refused            2   2 -
auth      421       blamed 1   busy               busy busy                              2   2 -
auth      drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 -
auth      stall     blamed 1   no_answer          no_answer no_answer                    2   2 -
auth      garbage   blamed 1   garbage            garbage garbage                        2   2 -
auth      oversize  blamed 1   garbage            garbage garbage                        2   2 -

mail      4xx       blamed 1   busy               busy busy                              2   2 -
mail      5xx       -      0   !sender_refused    !sender_refused !sender_refused        -   - -
mail      421       blamed 1   busy               busy busy                              2   2 -
mail      drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 -
mail      stall     blamed 1   no_answer          no_answer no_answer                    2   2 -
mail      garbage   blamed 1   garbage            garbage garbage                        2   2 -
mail      oversize  blamed 1   garbage            garbage garbage                        2   2 -

rcpt      4xx       -      0   recipient_deferred +taken recipient_deferred              2   1 2
rcpt      5xx       -      0   !no_such_recipient +taken !no_such_recipient              -   1 -
rcpt      421       blamed 1   busy               busy busy                              2   2 2
rcpt      drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 2
rcpt      stall     blamed 1   no_answer          no_answer no_answer                    2   2 2
rcpt      garbage   blamed 1   garbage            garbage garbage                        2   2 2
rcpt      oversize  blamed 1   garbage            garbage garbage                        2   2 2

data      4xx       blamed 1   busy               busy !no_such_recipient                2   2 -
data      5xx       -      0   !content_refused   !content_refused !no_such_recipient    -   - -
data      421       blamed 1   busy               busy !no_such_recipient                2   2 -
data      drop      blamed 1   connection_lost    connection_lost connection_lost        2   2 -
data      stall     blamed 1   no_answer          no_answer no_answer                    2   2 -
data      garbage   blamed 1   garbage            garbage garbage                        2   2 -
data      oversize  blamed 1   garbage            garbage garbage                        2   2 -

dot       4xx       blamed 1   busy               busy !no_such_recipient                2   2 -
dot       5xx       -      0   !content_refused   !content_refused !no_such_recipient    -   - -
dot       421       blamed 1   busy               busy !no_such_recipient                2   2 -
dot       drop      blamed 1   uncertain          uncertain !no_such_recipient           11  11 -
dot       stall     blamed 1   uncertain          uncertain !no_such_recipient           11  11 -
dot       garbage   blamed 1   uncertain          uncertain !no_such_recipient           11  11 -
dot       oversize  blamed 1   uncertain          uncertain !no_such_recipient           11  11 -

quit      4xx       -      0   +taken             +taken !no_such_recipient              1   1 -
quit      5xx       -      0   +taken             +taken !no_such_recipient              1   1 -
quit      421       -      0   +taken             +taken !no_such_recipient              1   1 -
quit      drop      -      0   +taken             +taken !no_such_recipient              1   1 -
quit      stall     -      0   +taken             +taken !no_such_recipient              1   1 -
quit      garbage   -      0   +taken             +taken !no_such_recipient              1   1 -
quit      oversize  -      0   +taken             +taken !no_such_recipient              1   1 -
"""

SAID_MORE: Final = """
banner    refused   blamed 1   unreachable        unreachable unreachable                2   2 -
mail      login     paused 1   login_required     login_required login_required          2   2 -
rcpt      login     paused 1   login_required     +taken login_required                  2   1 2
rcpt      grey      -      0   greylisted         +taken greylisted                      2   1 2
rcpt      rate      blamed 1   rate_limited       +taken rate_limited                    2   1 2
data      relay     paused 1   relay_denied       relay_denied !no_such_recipient        2   2 -
dot       filter    -      0   content_deferred   content_deferred !no_such_recipient    2   2 -
dot       rate      blamed 1   rate_limited       rate_limited !no_such_recipient        2   2 -
"""
"""Where nobody listens; and where words say more than the code."""

RELAY_DENIED: Final = """
rcpt      relay     paused 1   relay_denied       +taken relay_denied                    2   1 2
mail      relay     paused 1   relay_denied       relay_denied relay_denied              2   2 -
"""


class Cell(NamedTuple):
    """A line of the table."""

    stage: Stage
    how: str
    server: str
    one: str
    good: str
    bad: str
    copies_of_one: str
    copies_of_good: str
    copies_of_bad: str

    def plays(self) -> Iterator[tuple[tuple[str, ...], bool, Play]]:
        """For whom, whether the server is alone, and what is to come of it."""
        yield ONE, True, self._alone([self.one])
        yield THREE, True, self._alone([self.good, self.bad, self.good])
        yield ONE, False, self._beside([(self.one, self.copies_of_one)])
        good = (self.good, self.copies_of_good)
        yield THREE, False, self._beside([good, (self.bad, self.copies_of_bad), good])

    def _alone(self, endings: list[str]) -> Play:
        copies = {"+taken": "1", "uncertain": "11"}
        return Play(
            tuple(_ending(ending) for ending in endings),
            self._held(endings),
            tuple(copies.get(ending, "-") for ending in endings),
        )

    def _beside(self, those: list[tuple[str, str]]) -> Play:
        endings = []
        for alone, copies in those:
            if copies == "-" and not alone.startswith("!"):
                endings.append("!no_such_recipient")  # as the second server says
            else:
                endings.append(alone if copies in ("-", "11") else "+taken")
        return Play(
            tuple(_ending(ending) for ending in endings),
            self._held([alone for alone, _ in those]),
            tuple(copies for _, copies in those),
        )

    def _held(self, endings: list[str]) -> str:
        """Nothing is held against a server that took somebody of the same message."""
        return "- 0" if "+taken" in endings else self.server


def _ending(word: str) -> str:
    """State and category."""
    match word[0]:
        case "!":
            return f"failed {word[1:]}"
        case "+":
            return f"handed_over {word[1:]}"
    return f"deferred {word}"


def read(table: str) -> list[Cell]:
    """The cells of a table."""
    cells = []
    for line in filter(None, table.splitlines()):
        stage, how, held, errors, *rest = line.split()
        cells.append(Cell(Stage(stage), how, f"{held} {errors}", *rest))
    return cells


CELLS: Final = read(TABLE)


def test_the_table_has_every_stage_and_every_way_once() -> None:
    assert [(cell.stage, cell.how) for cell in CELLS] == [
        (stage, how) for stage in REPLIES for how in HOWS
    ]


@pytest.mark.parametrize("stage", REPLIES)
async def test_what_a_server_does_at_a_stage_means_what_the_table_says(
    houses: Houses, tmp_path: Path, stage: Stage
) -> None:
    await assert_plays(houses, tmp_path, [cell for cell in CELLS if cell.stage is stage])


async def test_denied_relaying_is_the_servers_fault_and_never_the_recipients(
    houses: Houses, tmp_path: Path
) -> None:
    await assert_plays(houses, tmp_path, read(RELAY_DENIED))


async def test_words_that_say_more_than_a_code_are_heard(houses: Houses, tmp_path: Path) -> None:
    await assert_plays(houses, tmp_path, read(SAID_MORE))


async def assert_plays(houses: Houses, folder: Path, cells: list[Cell]) -> None:
    """All plays of the cells at once; whatever differs from the table is named."""
    # After one message the connection is ended, so that QUIT has its turn. Nothing is tried again
    # by itself, nor as a trial, so that what is seen is the first attempt.
    running = await houses.start(
        retry=RetryConfig(first_seconds=600),
        breaker=BreakerConfig(pause_seconds=600, ceiling_seconds=600),
        delivery=DeliveryConfig(poll_seconds=0.05, transactions_per_connection=1),
    )
    player = Player(running, issue_certificate(folder))
    wanted = [
        (cell, recipients, alone, play)
        for cell in cells
        for recipients, alone, play in cell.plays()
    ]
    found = await asyncio.gather(
        *(
            player.play(cell.stage, cell.how, recipients, play.server, alone=alone)
            for cell, recipients, alone, play in wanted
        )
    )
    wrong = [
        f"{cell.stage} {cell.how}, {len(recipients)} recipients, {'alone' if alone else 'beside'}:\n"
        f"  wanted {play}\n  found  {seen}"
        for (cell, recipients, alone, play), seen in zip(wanted, found, strict=True)
        if seen != play
    ]
    assert not wrong, "\n".join(wrong)
