"""Records sent to a cluster that takes or refuses them: where they go, and what their sender is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from streamctl.destination import Destination
from streamctl.failures import CommandError, ExitCode, as_command_error
from streamctl.producing import RecordSender
from streamctl.records.json_input import JsonRows
from streamctl.records.lines import LineRows
from streamctl.records.rows import RowsReader
from streamkeep import Producer
from streamkeep.errors import (
    BatchTooLargeError,
    InvalidTimestampError,
    NotEnoughReplicasError,
    StreamkeepError,
)
from streamkeep_common.limits import MIB
from tests.unit.sdk.world import World, in_world

REFUSAL = NotEnoughReplicasError("t-0 needs 2 replicas in sync, and only these are: 1")
KNOWN = ("t", "u")


async def find(name: str) -> None:
    if name not in KNOWN:
        raise CommandError(f"topic '{name}' does not exist", ExitCode.NOT_FOUND)


def json_reader(*, skip_bad: bool = False, repartition: bool = False) -> JsonRows:
    return JsonRows(lambda: 0, max_record_bytes=MIB, skip_bad=skip_bad, repartition=repartition)


def line_reader(*, skip_bad: bool = False) -> LineRows:
    return LineRows(separator=None, max_record_bytes=2 * MIB, skip_bad=skip_bad)


def feed(monkeypatch: pytest.MonkeyPatch, *chunks: bytes) -> None:
    async def read_chunks(_descriptor: int) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    monkeypatch.setattr("streamctl.producing.read_chunks", read_chunks)


def sent(
    reader: RowsReader,
    *,
    topic: str | None = "t",
    partition: int | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
    skip_bad: bool = False,
    advance: Callable[[int], None] | None = None,
    errors: Sequence[StreamkeepError] = (),
) -> tuple[list[list[bytes | None]], RecordSender, CommandError | None]:
    """What is then in the three partitions of `t` and the one of `u`, who sent it, and the complaint."""

    async def story(world: World) -> tuple[list[list[bytes | None]], RecordSender, CommandError | None]:
        logs = [*world.cluster.create_topic("t", 3), *world.cluster.create_topic("u")]
        world.cluster.produce_errors.extend(errors)
        complaint = None
        async with world.client() as client, Producer(client) as producer:
            destination = Destination(find, topic=topic, partition=partition, headers=headers)
            sender = RecordSender(producer, reader, destination, skip_bad=skip_bad, advance=advance)
            try:
                await sender.send_all(0)
            except CommandError as error:
                complaint = error
        return [log.values() for log in logs], sender, complaint

    return in_world(story)


def test_lines_refused_below_min_isr_are_told_as_in_no_log_with_exit_code_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=2_000) as producer:
            sender = RecordSender(producer, line_reader(), Destination(find, topic="t"))

            async def chunks(_descriptor: int) -> AsyncIterator[bytes]:
                yield b"one\ntwo\n"
                await world.until(lambda: sender.acknowledged == 2)
                world.cluster.produce_errors.extend([REFUSAL] * 100)
                yield b"three\n"

            monkeypatch.setattr("streamctl.producing.read_chunks", chunks)
            with pytest.raises(NotEnoughReplicasError) as raised:
                await sender.send_all(0)
        told = as_command_error(raised.value)
        assert told.exit_code == ExitCode.UNAVAILABLE
        assert "t-0 stored nothing of this for 2000 ms: t-0 needs 2 replicas in sync" in told.message
        assert "Bring brokers back" in told.message
        assert sender.acknowledged == 2 and log.values() == [b"one", b"two"]

    in_world(story)


def test_of_what_was_sent_and_not_answered_before_ctrl_c_the_number_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")

        async def chunks(_descriptor: int) -> AsyncIterator[bytes]:
            yield b"one\n"
            await world.until(lambda: sender.acknowledged == 1)
            world.cluster.swallow_results = 1_000
            yield b"two\nthree\n"
            await world.until(lambda: len(log.values()) == 3)
            sending.cancel()
            await asyncio.Event().wait()

        monkeypatch.setattr("streamctl.producing.read_chunks", chunks)
        async with world.client() as client, Producer(client) as producer:
            sender = RecordSender(producer, line_reader(), Destination(find, topic="t"))
            sending = asyncio.create_task(sender.send_all(0))
            await asyncio.wait([sending])
            await producer.close(timeout_ms=0)
        assert (sender.acknowledged, sender.unknown) == (1, 2)

    in_world(story)


def test_each_record_goes_to_its_partition_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"".join(b'{"value": "%d", "partition": %d}\n' % (number, number % 3) for number in range(9))
    feed(monkeypatch, lines[:100], lines[100:])
    logs, sender, complaint = sent(json_reader())
    assert logs[:3] == [[b"0", b"3", b"6"], [b"1", b"4", b"7"], [b"2", b"5", b"8"]]
    assert sender.acknowledged == 9 and complaint is None


def test_records_that_say_no_partition_keep_their_place_among_those_that_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(
        monkeypatch,
        b'{"value":"1"}\n{"value":"2","partition":0}\n{"value":"3"}\n{"value":"4","partition":0}\n',
    )
    logs, _, _ = sent(json_reader(), topic="u")
    assert logs[3] == [b"1", b"2", b"3", b"4"]


def test_what_the_command_says_wins_over_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b'{"topic": "nowhere", "partition": 99, "value": "v", "headers": []}\n')
    logs, _, complaint = sent(json_reader(), partition=2)
    assert logs == [[], [], [b"v"], []] and complaint is None


def test_without_a_topic_each_line_names_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b'{"topic":"u","value":"1"}\n{"topic":"t","partition":1,"value":"2"}\n{"value":"3"}\n')
    logs, sender, complaint = sent(json_reader(), topic=None)
    assert logs == [[], [b"2"], [], [b"1"]] and sender.acknowledged == 2
    assert complaint is not None and complaint.message.startswith("line 3: the field 'topic' is missing")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"topic": "x", "value": ""}', "line 2: topic 'x' does not exist"),
        (b'{"topic": "t", "partition": 3, "value": ""}', "line 2: topic 't' has partitions 0 to 2, not 3"),
    ],
)
def test_a_place_that_is_not_there_is_named_with_its_line_after_all_before_it_was_delivered(
    monkeypatch: pytest.MonkeyPatch, line: bytes, expected: str
) -> None:
    feed(monkeypatch, b'{"topic":"u","value":"1"}\n' + line + b'\n{"topic":"u","value":"3"}\n')
    logs, _, complaint = sent(json_reader(), topic=None)
    assert complaint is not None and complaint.exit_code == ExitCode.NOT_FOUND
    assert complaint.message.startswith(expected)
    assert "--skip-bad-lines" not in complaint.message, "it would lose what is good"
    assert logs[3] == [b"1"]


def test_what_helps_where_a_partition_is_not_there_is_to_let_the_keys_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = b'{"partition": 5, "key": "k", "value": "v"}\n'
    feed(monkeypatch, line)
    _, _, complaint = sent(json_reader())
    assert complaint is not None and complaint.message == (
        "line 1: topic 't' has partitions 0 to 2, not 5;"
        " --repartition lets the key of each record decide, -p sends all to one"
    )
    feed(monkeypatch, line * 3)
    logs, sender, complaint = sent(json_reader(repartition=True))
    assert complaint is None and sender.acknowledged == 3
    assert [b"v"] * 3 in logs, "one key, one partition"


def test_a_line_that_is_no_record_can_be_skipped_and_a_question_ends_its_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(monkeypatch, b"{}\n")
    _, _, complaint = sent(json_reader())
    assert complaint is not None
    assert complaint.message.endswith("a tombstone says null; --skip-bad-lines goes on without it")
    feed(monkeypatch, b'{"vlaue": ""}\n')
    _, _, complaint = sent(json_reader())
    assert complaint is not None
    assert complaint.message.endswith("did you mean 'value'? --skip-bad-lines goes on without it")


def test_bad_lines_are_skipped_counted_and_the_first_of_them_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed(
        monkeypatch,
        b'{"value":"1"}\n' + b'{"topic":"x","value":""}\n' * 6 + b"{}\n" * 7 + b'{"topic":"u","value":"2"}',
    )
    logs, sender, complaint = sent(json_reader(skip_bad=True), topic=None, skip_bad=True)
    assert logs[3] == [b"2"] and complaint is None
    assert (sender.acknowledged, sender.skipped) == (1, 14)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 11 and told[-1] == "more bad lines are skipped without a word"
    assert "line 2: topic 'x' does not exist; skipped" in told


def test_a_line_of_100_mb_is_named_with_the_limit_and_what_came_before_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(monkeypatch, b"1\n2\n", *[bytes(MIB)] * 100, b"\n4\n")
    logs, sender, complaint = sent(line_reader(), partition=0)
    assert logs[0] == [b"1", b"2"] and sender.acknowledged == 2
    assert complaint is not None and complaint.message.startswith(
        f"line 3 is longer than {2 * MIB - 8} bytes, the most that a record can have"
    )
    feed(monkeypatch, b"1\n2\n", *[bytes(MIB)] * 100, b"\n4\n")
    logs, sender, complaint = sent(line_reader(skip_bad=True), partition=0, skip_bad=True)
    assert logs[0] == [b"1", b"2", b"4"] and sender.skipped == 1 and complaint is None


def test_a_record_that_the_topic_finds_too_large_is_a_bad_line(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [BatchTooLargeError("more than max_batch_bytes=4")]
    feed(monkeypatch, b"large\n")
    _, sender, complaint = sent(line_reader(), errors=errors)
    assert complaint is not None and "line 1: more than max_batch_bytes=4" in complaint.message
    feed(monkeypatch, b"large\n")
    _, sender, complaint = sent(line_reader(skip_bad=True), skip_bad=True, errors=errors)
    assert complaint is None and (sender.acknowledged, sender.skipped) == (0, 1)


def test_a_line_whose_time_the_topic_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = InvalidTimestampError("timestamp 5 is more than 1000 ms before the broker's 7000")
    lines = b'{"value":"1","timestamp_ms":6900}\n{"value":"2","timestamp_ms":5}\n{"value":"3"}\n'
    for skip_bad in (False, True):
        feed(monkeypatch, lines)
        _, sender, complaint = sent(
            json_reader(skip_bad=skip_bad), partition=0, skip_bad=skip_bad, errors=[refusal]
        )
        assert complaint is not None and complaint.message.startswith("line 2: timestamp 5 is more than")
        assert InvalidTimestampError.advice in complaint.message
        assert (sender.acknowledged, sender.skipped) == (0, 0), "it keeps its batch from being stored"


def test_headers_of_the_command_come_behind_those_of_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = json_reader().feed(b'{"value": "", "headers": [{"name": "a", "value": "1"}]}\n{"value": ""}\n')
    destination = Destination(find, topic="t", headers=[("a", b"2")])
    assert destination.headers_of(rows) == [[("a", b"1"), ("a", b"2")], [("a", b"2")]]
    assert destination.headers_of(line_reader().feed(b"x\n")) == [[("a", b"2")]]


def test_progress_is_what_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"1\n2", b"2\n", b"3")
    steps: list[int] = []
    sent(line_reader(), advance=steps.append)
    assert steps == [3, 2, 1]
