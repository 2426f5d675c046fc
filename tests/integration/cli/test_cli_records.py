"""Producing and consuming from the command line, against a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.integration.cli.program import TIMEOUT_S, Streamctl, until_full

pytestmark = pytest.mark.process


def test_a_hundred_thousand_lines_come_back_and_their_files_are_messages(streamctl: Streamctl) -> None:
    lines = b"".join(b"%d\n" % number for number in range(1, 100_001))
    streamctl("topic", "create", "numbers", "--partitions", "3")
    produced = streamctl.process("produce", "numbers", stdin=lines)
    assert produced.err == "100000 records acknowledged\n" and not produced.out
    consumed = streamctl.process("consume", "numbers", "--from-beginning", "--exit-at-end", "-f", "%s\\n")
    assert sorted(map(int, consumed.out.split())) == list(range(1, 100_001))
    segments = sorted((streamctl.home / "cluster").glob("broker-*/numbers-*/*.log"))
    batches = [batch for path in segments for batch in LogSegment.FromString(path.read_bytes()).batches]
    assert sum(batch.record_count for batch in batches) == 3 * 100_000, "on three replicas"
    for path in segments:
        assert "Nothing is wrong" in streamctl("log", "verify", str(path)).err


def test_who_types_records_is_told_how_to_end(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "typed", "--partitions", "1")
    ours, theirs = os.openpty()
    with streamctl.start("produce", "typed", stdin=theirs, stderr=subprocess.PIPE) as producer:
        os.close(theirs)
        assert producer.stderr is not None
        assert producer.stderr.readline() == b"each line is a record; Ctrl-D ends\n"
        os.write(ours, b"one\n\x04")
        assert producer.stderr.read() == b"1 record acknowledged\n"
        assert producer.wait(TIMEOUT_S) == 0
    os.close(ours)


def test_keys_headers_partitions_and_formats(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "flights", "--partitions", "2")
    options = ("-K", ":", "-H", "origin=EWR", "-p", "1", "-z", "zstd")
    assert "3 records" in streamctl.produce("flights", b"UA:517\nAA:542\nUA:\xff\n", *options).err
    read = ("consume", "flights", "-O", "start", "-e")
    assert streamctl(*read, "-f", "%t/%p/%o %k=%s %h|").out == (
        b"flights/1/0 UA=517 origin=EWR|flights/1/1 AA=542 origin=EWR|flights/1/2 UA=\xff origin=EWR|"
    )
    records = [json.loads(line) for line in streamctl(*read, "-o", "json").out.splitlines()]
    assert [record["key"] for record in records] == ["UA", "AA", "UA"]
    assert records[2]["value_base64"] == "/w==" and records[0]["headers"] == [
        {"name": "origin", "value": "EWR"}
    ]
    assert streamctl(*read, "-p", "0").out == b""
    assert streamctl(*read, "--grep", os.fsdecode(b"\xff"), "-f", "%o").out == b"2", "bytes need not be text"


def test_a_partition_that_is_not_there_is_told_before_anything_is_read(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "two", "--partitions", "2")
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with streamctl.start("produce", "two", "-p", "2", **pipes) as producer:
        assert producer.wait(TIMEOUT_S) == 3
        assert producer.stderr is not None
        assert producer.stderr.read() == b"Error: topic 'two' has partitions 0 to 1, not 2\n"


def test_the_offset_grammar_chooses_what_is_read(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "letters", "--partitions", "1")
    streamctl.produce("letters", b"a\nb\nc\nd\ne\n")

    def read(*options: str) -> bytes:
        return streamctl("consume", "letters", "-f", "%s", *options).out

    assert read("-O", "-2", "-e") == b"de"
    assert read("-O", "1:3") == b"bc"
    assert read("-O", "3:") == b"de"
    assert read("-O", "@-1h", "-e") == b"abcde"
    assert read("-O", ":@-1h") == b""
    assert read("-O", "start", "-c", "2") == b"ab"
    assert read("-e") == read("--from-beginning", "-e") == b"abcde"
    assert read("-O", "end", "-e") == b""
    refused = streamctl("consume", "letters", "-O", "99:", expect=1).err
    assert "partition 0 has offsets 0 up to 5, and not 99" in refused


def test_a_reader_that_goes_away_ends_the_consumer_quietly(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "short", "--partitions", "1")
    streamctl.produce("short", b"1\n2\n3\n")
    consumer = streamctl.start(
        "consume", "short", "-O", "start", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert consumer.stdout is not None and consumer.stderr is not None
    assert consumer.stdout.readline() == b"1\n"
    consumer.stdout.close()
    assert consumer.wait(TIMEOUT_S) == 0
    assert consumer.stderr.read() == b""
    consumer.stderr.close()


def test_ctrl_c_ends_a_waiting_consumer(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "waiting", "--partitions", "1")
    streamctl.produce("waiting", b"1\n")
    consumer = streamctl.start(
        "consume", "waiting", "-O", "start", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert consumer.stdout is not None
    assert consumer.stdout.readline() == b"1\n"
    consumer.send_signal(signal.SIGINT)
    _, errors = consumer.communicate(timeout=TIMEOUT_S)
    assert consumer.returncode == 130 and b"Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_consumer_whose_reader_has_stopped_reading(
    streamctl: Streamctl, number: signal.Signals
) -> None:
    topic = f"unread-{number.name.lower()}"
    streamctl("topic", "create", topic, "--partitions", "1")
    streamctl.produce(topic, b"a line that is long enough\n" * 10_000)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with streamctl.start("consume", topic, "-e", **pipes) as consumer:
        until_full(consumer)
        consumer.send_signal(number)
        assert consumer.wait(TIMEOUT_S) == 130


def test_a_line_that_no_batch_can_hold_is_named_and_the_rest_was_sent(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "long", "--partitions", "1")
    result = streamctl.produce("long", b"short\n" + b"x" * 9_000_000, expect=1)
    assert "line 2 is longer than" in result.err and "1 record acknowledged" in result.err


def test_what_nobody_reads_of_the_notes_of_a_producer_keeps_no_record_from_being_sent(
    streamctl: Streamctl,
) -> None:
    streamctl("topic", "create", "unheard", "--partitions", "1")
    path = streamctl.home / "unheard.jsonl"
    path.write_bytes(b"no record\n" + b'{"value": "a line that is long enough"}\n' * 100_000)
    out, into = os.pipe()
    os.close(out)
    sending = ("produce", "unheard", "--json", "--skip-bad-lines", "--file", str(path), "-o", "json")
    with streamctl.start(*sending, stdout=subprocess.PIPE, stderr=into) as producer:
        os.close(into)
        said, _ = producer.communicate(timeout=TIMEOUT_S)
    assert producer.returncode == 0
    assert json.loads(said) == {"topic": "unheard", "acknowledged": 100_000, "skipped": 1}
