"""The producer's idempotence for one partition, rule by rule."""

from __future__ import annotations

from streamkeep.producer.batch import Batch
from streamkeep.producer.sequencer import Sequencer, Verdict
from streamkeep_common.records import Codec
from tests.unit.sdk.batches import closed_batch


def filled(count: int, *, records: int = 2, max_in_flight: int = 5) -> tuple[Sequencer, list[Batch]]:
    sequencer = Sequencer(max_in_flight)
    batches = [closed_batch(*[b"x"] * records, opened_s=float(number)) for number in range(count)]
    for batch in batches:
        sequencer.add(batch)
    return sequencer, batches


def take_all(sequencer: Sequencer) -> list[Batch]:
    taken = []
    while (batch := sequencer.take_next()) is not None:
        taken.append(batch)
    return taken


def test_sequences_count_records_from_zero_and_five_batches_are_in_flight() -> None:
    sequencer, batches = filled(7)
    assert take_all(sequencer) == batches[:5]
    assert [batch.sequence for batch in batches] == [0, 2, 4, 6, 8, None, None]


def test_an_acknowledgement_lets_the_next_batch_go() -> None:
    sequencer, batches = filled(6)
    take_all(sequencer)
    assert sequencer.acknowledge(batches[0], sequencer.attempt)
    assert take_all(sequencer) == [batches[5]]


def test_sequences_wrap_after_2147483647() -> None:
    sequencer, batches = filled(2)
    sequencer._next_sequence = 2**31 - 1
    take_all(sequencer)
    assert [batch.sequence for batch in batches] == [2**31 - 1, 1]


def test_after_a_loss_the_oldest_goes_again_alone_until_it_is_acknowledged() -> None:
    sequencer, batches = filled(3)
    take_all(sequencer)
    lost_attempt = sequencer.attempt
    sequencer.recover()
    assert take_all(sequencer) == [batches[0]]
    assert batches[0].sequence == 0
    assert not sequencer.acknowledge(batches[0], lost_attempt), "an old answer is stale"
    assert sequencer.acknowledge(batches[0], sequencer.attempt)
    assert take_all(sequencer) == batches[1:]


def test_a_batch_given_up_before_it_was_sent_leaves_no_gap() -> None:
    sequencer, batches = filled(2)
    assert sequencer.expire(0.0) == [batches[0]]
    assert take_all(sequencer) == [batches[1]]
    assert (batches[1].epoch, batches[1].sequence) == (0, 0)


def test_after_giving_up_a_sent_batch_those_never_sent_go_under_a_new_epoch() -> None:
    sequencer, batches = filled(2, max_in_flight=1)
    take_all(sequencer)
    assert sequencer.expire(0.0) == [batches[0]]
    assert take_all(sequencer) == [batches[1]]
    assert (batches[1].epoch, batches[1].sequence) == (1, 0)


def test_after_giving_up_a_sent_batch_the_others_that_were_sent_are_asked_about_first() -> None:
    """They may be stored, so they keep their sequences until the broker says that it has not got them."""
    sequencer, batches = filled(4)
    take_all(sequencer)
    sequencer.expire(0.0)
    assert take_all(sequencer) == [batches[1]]
    assert (batches[1].epoch, batches[1].sequence) == (0, 2)
    sequencer.acknowledge(batches[1], sequencer.attempt)
    assert take_all(sequencer) == batches[2:], "the broker had it, and so what was given up: no gap"
    assert (batches[3].epoch, batches[3].sequence) == (0, 6)


def test_a_missing_sequence_behind_a_gap_raises_the_epoch_and_renumbers() -> None:
    sequencer, batches = filled(3)
    take_all(sequencer)
    sequencer.expire(0.0)
    take_all(sequencer)
    assert sequencer.sequence_refused(batches[1], sequencer.attempt) is Verdict.NEW_EPOCH
    assert take_all(sequencer) == batches[1:]
    assert [(batch.epoch, batch.sequence) for batch in batches[1:]] == [(1, 0), (1, 2)]


def test_a_forgotten_producer_with_nothing_older_outstanding_starts_a_new_epoch() -> None:
    sequencer, batches = filled(2, max_in_flight=1)
    take_all(sequencer)
    sequencer.acknowledge(batches[0], sequencer.attempt)
    take_all(sequencer)
    assert sequencer.sequence_refused(batches[1], sequencer.attempt) is Verdict.RECORDS_MISSING
    assert take_all(sequencer) == [batches[1]]
    assert (batches[1].epoch, batches[1].sequence) == (1, 0)


def test_a_refused_batch_is_a_gap_for_those_behind_it() -> None:
    sequencer, batches = filled(3)
    take_all(sequencer)
    assert sequencer.refuse(batches[0], sequencer.attempt)
    assert take_all(sequencer) == [batches[1]]
    assert sequencer.sequence_refused(batches[1], sequencer.attempt) is Verdict.NEW_EPOCH


def test_the_parts_of_a_split_batch_keep_its_sequences() -> None:
    sequencer, batches = filled(2, records=4)
    take_all(sequencer)
    whole = batches[0]
    whole_encoded = whole.encode(Codec.NONE, 1)
    assert whole_encoded.record_count == 4
    assert sequencer.replace(whole, whole.split(), sequencer.attempt)
    first = sequencer.take_next()
    assert first is not None and (first.sequence, first.record_count) == (0, 2)
    sequencer.acknowledge(first, sequencer.attempt)
    rest = take_all(sequencer)
    assert [(batch.sequence, batch.record_count) for batch in rest] == [(2, 2), (4, 4)]
