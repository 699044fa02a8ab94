"""what each reply and each broken line means: one test per cell, and the exceptions by name"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.delivery import State
from pillarbox.policy.meaning import PHRASES, Category, Stage
from pillarbox.policy.outcome import (
    SPECIAL,
    TABLE,
    Blame,
    Mishap,
    Outcome,
    from_broken,
    from_caller_told,
    from_login_failed,
    from_recipients,
    from_reply,
    from_trouble,
    from_unsuitable,
    read_stage,
)
from pillarbox.protocol.reply import Reply

LATER, NEVER = State.DEFERRED, State.FAILED

# Stage, mishap: what becomes of the recipient, whether another server is tried at once, whether it
# may have been delivered, and whom it is about. Written out in full: this is the promise.
CELLS = """
connect  4xx      deferred next    -     server
connect  5xx      deferred next    -     server
connect  421      deferred next    -     server
connect  drop     deferred next    -     link
connect  timeout  deferred next    -     link
connect  garbage  deferred next    -     server
banner   4xx      deferred next    -     server
banner   5xx      deferred next    -     server
banner   421      deferred next    -     server
banner   drop     deferred next    -     link
banner   timeout  deferred next    -     link
banner   garbage  deferred next    -     server
ehlo     4xx      deferred next    -     server
ehlo     5xx      deferred next    -     server
ehlo     421      deferred next    -     server
ehlo     drop     deferred next    -     link
ehlo     timeout  deferred next    -     link
ehlo     garbage  deferred next    -     server
starttls 4xx      deferred next    -     server
starttls 5xx      deferred next    -     server
starttls 421      deferred next    -     server
starttls drop     deferred next    -     link
starttls timeout  deferred next    -     link
starttls garbage  deferred next    -     server
auth     4xx      deferred next    -     server
auth     5xx      deferred next    -     server
auth     421      deferred next    -     server
auth     drop     deferred next    -     link
auth     timeout  deferred next    -     link
auth     garbage  deferred next    -     server
mail     4xx      deferred next    -     server
mail     5xx      failed   stop    -     message
mail     421      deferred next    -     server
mail     drop     deferred next    -     link
mail     timeout  deferred next    -     link
mail     garbage  deferred next    -     server
rcpt     4xx      deferred next    -     recipient
rcpt     5xx      failed   stop    -     recipient
rcpt     421      deferred next    -     server
rcpt     drop     deferred next    -     link
rcpt     timeout  deferred next    -     link
rcpt     garbage  deferred next    -     server
data     4xx      deferred next    -     server
data     5xx      failed   stop    -     message
data     421      deferred next    -     server
data     drop     deferred next    -     link
data     timeout  deferred next    -     link
data     garbage  deferred next    -     server
verdict  4xx      deferred next    -     server
verdict  5xx      failed   stop    -     message
verdict  421      deferred next    -     server
verdict  drop     deferred stop    maybe link
verdict  timeout  deferred stop    maybe link
verdict  garbage  deferred stop    maybe link
"""
ROWS = [tuple(line.split()) for line in CELLS.strip().splitlines()]
REPLIES = {"4xx": Reply.of(450, None), "5xx": Reply.of(550, None), "421": Reply.of(421, None)}


def happened(stage: Stage, mishap: str) -> Outcome:
    if mishap in REPLIES:
        return from_reply(stage, REPLIES[mishap])
    return from_broken(stage, "something", mishap=Mishap(mishap))


@pytest.mark.parametrize(("stage", "mishap", "state", "next_host", "maybe", "blame"), ROWS)
def test_each_cell_of_the_table_keeps_its_promise(
    stage: str, mishap: str, state: str, next_host: str, maybe: str, blame: str
) -> None:
    outcome = happened(Stage(stage), mishap)
    assert outcome.state == state
    assert outcome.next_host is (next_host == "next")
    assert outcome.maybe_delivered is (maybe == "maybe")
    assert outcome.blame == blame
    assert outcome.stage == stage
    assert outcome.words.startswith(PHRASES[Category(outcome.category)])


def test_the_table_has_every_stage_and_every_mishap() -> None:
    assert set(TABLE) == {(stage, mishap) for stage in Stage for mishap in Mishap}
    assert {(stage, mishap) for stage, mishap, *_ in ROWS} == set(TABLE)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [220, 250, 334, 354, 199, 600, 0])
def test_a_reply_that_fits_nowhere_is_garbage_and_never_a_failure(stage: Stage, code: int) -> None:
    outcome = from_reply(stage, Reply.of(code, None, "what"))
    if stage is Stage.VERDICT and code // 100 == 2:
        assert outcome.taken
    else:
        cell = TABLE[stage, Mishap.GARBAGE]
        assert (outcome.state, outcome.category) == (cell.state, cell.category)


@given(st.sampled_from(Stage), st.integers(200, 599), st.text(max_size=300))
def test_no_reply_before_the_envelope_ends_a_delivery(stage: Stage, code: int, text: str) -> None:
    outcome = from_reply(stage, Reply.of(code, None, text))
    if stage in (Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH):
        assert outcome.state is LATER
        assert outcome.next_host
    if code < 500:
        assert outcome.state is not NEVER


def test_a_success_is_handed_over_or_delivered_by_whose_server_it_was() -> None:
    reply = Reply.of(250, "2.0.0", "Ok: queued as 4F1")
    assert from_reply(Stage.VERDICT, reply).state is State.HANDED_OVER
    assert from_reply(Stage.VERDICT, reply, direct=True).state is State.DELIVERED
    outcome = from_reply(Stage.VERDICT, Reply.of(299, None))
    assert outcome.taken
    assert not outcome.next_host
    assert not outcome.server_at_fault
    assert not outcome.closes
    assert outcome.status == "2.0.0"


# --- whose fault: the key cases ---------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.VERDICT])
@pytest.mark.parametrize(
    "reply",
    [
        Reply.of(530, "5.7.0", "Must issue a STARTTLS command first"),
        Reply.of(530, None, "Authentication required"),
        Reply.of(535, "5.7.8", "Bad credentials"),
        Reply.of(538, "5.7.11", "Encryption required"),
    ],
)
def test_a_server_that_wants_a_login_is_at_fault_wherever_it_says_so(
    stage: Stage, reply: Reply
) -> None:
    outcome = from_reply(stage, reply)
    assert (outcome.state, outcome.next_host) == (LATER, True)
    assert outcome.category == Category.LOGIN_REQUIRED
    assert outcome.server_at_fault


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT])
@pytest.mark.parametrize(
    "reply",
    [
        Reply.of(550, "5.7.0", "Authentication required"),
        Reply.of(550, "5.7.1", "Authentication is required for relay"),
        Reply.of(554, None, "You must authenticate first"),
        Reply.of(553, "5.7.1", "<a@b.test>: Sender address rejected: not logged in"),
        Reply.of(550, "5.5.1", "Please authenticate yourself"),
    ],
)
def test_a_login_wanted_in_words_is_the_servers_fault(stage: Stage, reply: Reply) -> None:
    outcome = from_reply(stage, reply)
    assert outcome.category == Category.LOGIN_REQUIRED
    assert (outcome.state, outcome.next_host) == (LATER, True)


def test_mail_that_did_not_authenticate_by_dkim_is_not_a_missing_login() -> None:
    reply = Reply.of(550, "5.7.26", "Unauthenticated email, senders must authenticate by SPF")
    assert from_reply(Stage.VERDICT, reply).category == Category.UNAUTHENTICATED
    assert from_reply(Stage.MAIL, reply).state is NEVER


@pytest.mark.parametrize("code", [500, 502, 503])
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
def test_a_server_that_lost_the_thread_is_at_fault(stage: Stage, code: int) -> None:
    outcome = from_reply(stage, Reply.of(code, "5.5.1", "Bad sequence of commands"))
    assert (outcome.state, outcome.next_host, outcome.blame) == (LATER, True, Blame.SERVER)


@pytest.mark.parametrize(
    "reply",
    [
        Reply.of(521, None, "This host does not accept mail"),
        Reply.of(554, "5.7.1", "<h[192.0.2.1]>: Client host rejected: Access denied"),
        Reply.of(554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked"),
    ],
)
def test_a_server_that_refuses_our_address_at_the_envelope_is_at_fault(reply: Reply) -> None:
    for stage in (Stage.MAIL, Stage.RCPT):
        outcome = from_reply(stage, reply)
        assert outcome.category == Category.REFUSES_US
        assert (outcome.state, outcome.next_host) == (LATER, True)


def test_a_server_out_of_order_is_at_fault() -> None:
    outcome = from_reply(Stage.MAIL, Reply.of(554, "5.3.2", "System not accepting messages"))
    assert (outcome.state, outcome.category) == (LATER, Category.OUT_OF_ORDER)


@pytest.mark.parametrize(
    "reply",
    [
        Reply.of(550, "5.1.8", "Sender domain does not exist"),
        Reply.of(553, "5.7.1", "Not allowed to use this sender"),
        Reply.of(501, "5.1.7", "Bad sender address syntax"),
        Reply.of(552, "5.3.4", "Message size exceeds fixed limit"),
    ],
)
def test_a_refused_return_path_fails_the_message_unless_the_app_wants_failover(
    reply: Reply,
) -> None:
    outcome = from_reply(Stage.MAIL, reply)
    assert (outcome.state, outcome.next_host, outcome.blame) == (NEVER, False, Blame.MESSAGE)
    tried_on = from_reply(Stage.MAIL, reply, failover=True)
    assert (tried_on.state, tried_on.next_host) == (NEVER, True)


def test_a_return_path_refused_at_rcpt_is_about_the_message() -> None:
    reply = Reply.of(553, "5.7.1", "<a@b.test>: Sender address rejected: not owned by user x")
    outcome = from_reply(Stage.RCPT, reply)
    assert (outcome.state, outcome.blame) == (NEVER, Blame.MESSAGE)
    assert outcome.category == Category.SENDER_REFUSED
    assert from_reply(Stage.RCPT, reply, failover=True).next_host
    later = from_reply(Stage.RCPT, Reply.of(450, "4.1.8", "Sender address: domain not found"))
    assert (later.state, later.category) == (LATER, Category.SENDER_DEFERRED)


def test_failover_changes_nothing_about_a_refused_recipient() -> None:
    outcome = from_reply(Stage.RCPT, Reply.of(550, "5.1.1", "User unknown"), failover=True)
    assert (outcome.state, outcome.next_host) == (NEVER, False)


# --- recipients together --------------------------------------------------------------------------

ACCEPTED = Reply.of(250, "2.1.5", "Ok")
DENIED = Reply.of(554, "5.7.1", "<x@y.test>: Relay access denied")
UNKNOWN = Reply.of(550, "5.1.1", "<x@y.test>: Recipient address rejected: User unknown")


def test_one_unknown_recipient_of_three_fails_alone() -> None:
    first, second, third = from_recipients([ACCEPTED, UNKNOWN, ACCEPTED])
    assert first is None
    assert third is None
    assert second is not None
    assert (second.state, second.next_host, second.blame) == (NEVER, False, Blame.RECIPIENT)
    assert second.category == Category.NO_SUCH_RECIPIENT


@pytest.mark.parametrize(
    "reply",
    [
        DENIED,
        Reply.of(550, "5.7.1", "Relaying denied"),
        Reply.of(550, None, "not permitted to relay through this server"),
        Reply.of(553, None, "sorry, that domain isn't in my list of allowed rcpthosts"),
        Reply.of(550, "5.7.1", "relay: no"),
        Reply.of(550, "5.7.54", "Unable to relay recipient in non-accepted domain"),
    ],
)
def test_relaying_denied_to_everybody_is_the_servers_fault(reply: Reply) -> None:
    for outcome in from_recipients([reply, reply]):
        assert outcome is not None
        assert outcome.category == Category.RELAY_DENIED
        assert (outcome.state, outcome.next_host, outcome.blame) == (LATER, True, Blame.SERVER)


def test_relaying_denied_to_one_while_others_are_taken_is_no_recipients_fault_either() -> None:
    accepted, denied = from_recipients([ACCEPTED, DENIED])
    assert accepted is None
    assert denied is not None
    assert (denied.state, denied.next_host, denied.blame) == (LATER, True, Blame.SERVER)


def test_relaying_denied_beside_other_refusals_is_still_the_servers_fault() -> None:
    denied, unknown = from_recipients([DENIED, UNKNOWN])
    assert denied is not None
    assert denied.state is LATER
    assert unknown is not None
    assert unknown.state is NEVER


def test_a_table_of_relay_recipients_is_no_denied_relay() -> None:
    reply = Reply.of(550, "5.1.1", "User unknown in relay recipient table")
    assert from_reply(Stage.RCPT, reply).category == Category.NO_SUCH_RECIPIENT


def test_nobody_asked_means_nobody_refused() -> None:
    assert from_recipients([]) == ()


@pytest.mark.parametrize(
    ("reply", "too_many"),
    [
        (Reply.of(452, "4.5.3", "Too many recipients"), True),
        (Reply.of(452, None, "That is enough"), True),
        (Reply.of(451, "4.7.0", "Too many recipients this hour"), True),
        (Reply.of(552, None, "Too many recipients"), True),
        (Reply.of(550, "5.5.3", "Too many recipients"), True),
        (Reply.of(452, "4.2.2", "Mailbox full"), False),
        (Reply.of(452, "4.3.1", "Insufficient system storage"), False),
        (Reply.of(452, None, "Insufficient system storage"), False),
    ],
)
def test_too_many_recipients_asks_the_same_server_again(reply: Reply, too_many: bool) -> None:
    outcome = from_reply(Stage.RCPT, reply)
    assert outcome.same_host is too_many
    assert outcome.state is LATER
    assert outcome.next_host
    assert (outcome.category == Category.TOO_MANY_RECIPIENTS) is too_many


def test_an_old_552_for_one_full_mailbox_is_a_failure() -> None:
    outcome = from_reply(Stage.RCPT, Reply.of(552, "5.2.2", "Mailbox full"))
    assert (outcome.state, outcome.category) == (NEVER, Category.MAILBOX_FULL)


# --- what does not count against the server -------------------------------------------------------


def test_greylisting_and_doubts_about_content_do_not_count_against_the_server() -> None:
    grey = from_reply(Stage.RCPT, Reply.of(450, "4.2.0", "Greylisted, see postgrey"))
    filtered = from_reply(Stage.VERDICT, Reply.of(451, "4.7.1", "Message temporarily rejected"))
    assert not grey.server_at_fault
    assert not filtered.server_at_fault
    assert filtered.category == Category.CONTENT_DEFERRED
    assert grey.next_host
    assert filtered.next_host


def test_trouble_of_the_server_itself_at_rcpt_counts_against_it() -> None:
    outcome = from_reply(Stage.RCPT, Reply.of(451, "4.3.0", "Temporary lookup failure"))
    assert (outcome.category, outcome.blame) == (Category.BUSY, Blame.SERVER)


def test_a_closing_reply_means_the_connection_is_over_and_nothing_else() -> None:
    outcome = from_reply(Stage.RCPT, Reply.of(421, "4.7.0", "Too many recipients, bye"))
    assert outcome.closes
    assert not outcome.same_host
    assert not from_reply(Stage.RCPT, REPLIES["4xx"]).closes
    assert from_broken(Stage.RCPT, "reset").closes


# --- broken lines -----------------------------------------------------------------------------------


def test_a_lost_line_after_the_dot_is_deferred_not_failed() -> None:
    outcome = from_broken(Stage.VERDICT, "connection reset by peer")
    assert (outcome.state, outcome.maybe_delivered, outcome.next_host) == (LATER, True, False)
    assert outcome.category == Category.UNCERTAIN


def test_what_the_caller_knows_about_the_dot_beats_the_stage() -> None:
    assert from_broken(Stage.DATA, "reset", True).maybe_delivered
    assert from_broken("envelope", "reset", True).category == Category.UNCERTAIN
    before = from_broken(Stage.VERDICT, "reset", False)
    assert not before.maybe_delivered
    assert before.next_host
    assert not from_broken(Stage.RCPT, "reset", False).maybe_delivered


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("timed out after 30s", Category.NO_ANSWER),
        ("no reply in time", Category.NO_ANSWER),
        ("reset by peer", Category.CONNECTION_LOST),
        ("", Category.CONNECTION_LOST),
    ],
)
def test_the_words_tell_a_timeout_from_a_lost_line(words: str, category: Category) -> None:
    outcome = from_broken(Stage.BANNER, words)
    assert outcome.category == category
    assert outcome.words == PHRASES[category] + (f": {words}" if words else "")


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("banner", Stage.BANNER),
        ("envelope", Stage.MAIL),
        ("tls", Stage.STARTTLS),
        ("content", Stage.DATA),
        ("something new", Stage.CONNECT),
    ],
)
def test_a_drivers_own_words_for_a_stage_are_understood(name: str, stage: Stage) -> None:
    assert read_stage(name) is stage
    assert from_broken(name, "gone").stage is stage


def test_words_of_outsiders_are_made_harmless_and_short() -> None:
    outcome = from_broken(Stage.EHLO, "a\x1b[2Jb\r\nc" + "x" * 5000)
    assert outcome.words.isprintable()
    assert len(outcome.words) < 500


# --- our own trouble ----------------------------------------------------------------------------------


def test_our_own_trouble_is_a_deferral_and_no_servers_fault() -> None:
    outcome = from_trouble("the database does not answer")
    assert (outcome.state, outcome.blame, outcome.next_host) == (LATER, Blame.US, False)
    assert not outcome.server_at_fault
    assert not outcome.closes
    assert from_trouble("").words == PHRASES[Category.OUR_TROUBLE]


def test_a_form_one_server_does_not_take_may_suit_another() -> None:
    outcome = from_unsuitable("does not offer SMTPUTF8", detail="6.7")
    assert (outcome.state, outcome.next_host, outcome.status) == (NEVER, True, "5.6.7")
    assert from_unsuitable("").words == PHRASES[Category.UNSUITABLE]


def test_what_a_caller_was_told_to_have_failed_has_failed() -> None:
    outcome = from_caller_told(maybe_delivered=True)
    assert (outcome.state, outcome.category) == (NEVER, Category.CALLER_TOLD)
    assert outcome.maybe_delivered
    assert outcome.status == "5.4.7"


# --- what is stored -------------------------------------------------------------------------------------


def test_code_status_and_text_come_from_the_reply() -> None:
    outcome = from_reply(Stage.RCPT, Reply.of(550, "5.1.1", "No such", "user here"))
    assert (outcome.code, outcome.status, outcome.text) == (550, "5.1.1", "No such user here")


def test_without_a_status_the_one_that_fits_is_given() -> None:
    assert from_reply(Stage.MAIL, Reply.of(550, None, "no")).status == "5.1.0"
    broken = from_broken(Stage.CONNECT, "refused")
    assert (broken.code, broken.status, broken.text) == (0, "4.4.1", "")


@pytest.mark.parametrize("category", SPECIAL)
def test_a_special_cell_bears_its_own_category(category: Category) -> None:
    assert SPECIAL[category].category is category


def test_every_category_has_a_phrase() -> None:
    assert set(PHRASES) == set(Category)


@pytest.mark.parametrize(
    ("lasting", "category"),
    [(True, Category.LOGIN_REFUSED), (False, Category.LOGIN_UNAVAILABLE)],
)
def test_a_login_that_could_not_be_made_is_the_servers_matter_and_another_may_be_asked(
    lasting: bool, category: Category
) -> None:
    outcome = from_login_failed("has no token: the secret has expired", None, lasting=lasting)
    assert outcome.state is State.DEFERRED
    assert outcome.category == category
    assert outcome.server_at_fault and outcome.next_host and not outcome.maybe_delivered
    assert outcome.words == "has no token: the secret has expired"
