"""The ledger sees what it is for: each broken promise is found, and kept ones pass."""

from __future__ import annotations

import pytest

from tests.sim.replication import ledger as promises
from tests.sim.replication.ledger import UNKNOWN_OFFSET, PartitionLedger, Sent
from tests.sim.violation import InvariantError


@pytest.fixture
def ledger() -> PartitionLedger:
    return PartitionLedger("t-0")


def sent(number: int, writer: str = "w") -> Sent:
    return Sent(writer, number)


def broken(promise: str) -> pytest.RaisesExc[InvariantError]:
    return pytest.raises(InvariantError, match=f"^{promise}: ")


def test_a_value_says_who_sent_it() -> None:
    value = sent(17).encode(40)
    assert len(value) == 40
    assert Sent.decode(value) == sent(17)


def test_everything_acknowledged_and_read_once_in_order_passes(ledger: PartitionLedger) -> None:
    for number in range(3):
        ledger.acknowledge(sent(number), number if number != 1 else UNKNOWN_OFFSET)
        ledger.read("r", number, sent(number))
    ledger.read("other", 0, sent(0))
    ledger.settle()


def test_two_records_at_one_offset_are_seen(ledger: PartitionLedger) -> None:
    ledger.acknowledge(sent(0), 0)
    with broken(promises.CONSISTENT):
        ledger.read("r", 0, sent(0, "other"))


def test_one_record_at_two_offsets_is_seen(ledger: PartitionLedger) -> None:
    ledger.read("r", 0, sent(0))
    with broken(promises.ONCE):
        ledger.read("r", 1, sent(0))


def test_records_of_a_writer_in_another_order_are_seen(ledger: PartitionLedger) -> None:
    ledger.acknowledge(sent(1), 5)
    ledger.acknowledge(sent(2, "other"), 4)
    with broken(promises.IN_ORDER):
        ledger.acknowledge(sent(0), 6)


def test_a_reader_that_skips_is_seen(ledger: PartitionLedger) -> None:
    ledger.read("r", 0, sent(0))
    with broken(promises.NO_GAP):
        ledger.read("r", 2, sent(2))


def test_a_reader_that_goes_back_is_seen(ledger: PartitionLedger) -> None:
    ledger.read("r", 0, sent(0))
    with broken(promises.NO_GAP):
        ledger.read("r", 0, sent(0))


def test_a_reader_that_retention_has_overtaken_may_jump(ledger: PartitionLedger) -> None:
    ledger.acknowledge(sent(0), 0)
    ledger.log_start = 3
    ledger.read("r", 3, sent(3))
    ledger.settle()


def test_an_acknowledged_record_that_nobody_reads_is_seen(ledger: PartitionLedger) -> None:
    ledger.acknowledge(sent(0), 0)
    with broken(promises.NOT_LOST):
        ledger.settle()


def test_an_acknowledged_record_without_offset_that_nobody_reads_is_seen(ledger: PartitionLedger) -> None:
    ledger.acknowledge(sent(0), UNKNOWN_OFFSET)
    with broken(promises.NOT_LOST):
        ledger.settle()


def test_what_was_declared_lost_is_not_missed_and_others_may_have_its_place(
    ledger: PartitionLedger,
) -> None:
    ledger.acknowledge(sent(0), 0)
    ledger.acknowledge(sent(1), 1)
    ledger.read("r", 0, sent(0))
    ledger.lose(1, 2)
    ledger.read("r", 1, sent(2))
    ledger.settle()
