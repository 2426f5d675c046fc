"""What `consume` writes is what `produce` reads: records copied exactly, through real pipes."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from tests.integration.cli.program import TIMEOUT_S, Streamctl

pytestmark = pytest.mark.process

RECORDS: list[dict[str, Any]] = [
    {"partition": 2, "timestamp_ms": 1_357_034_400_000, "key": "UA", "value": "517"},
    {"partition": 2, "timestamp_ms": 0, "key": None, "value": None},
    {"partition": 0, "timestamp_ms": 5, "key": "", "value": ""},
    {"partition": 0, "timestamp_ms": 2**40, "key_base64": "/w==", "value_base64": "AP8K/w=="},
    {"partition": 1, "timestamp_ms": 9, "key": "gone", "value": None},
    {
        "partition": 1,
        "timestamp_ms": 8,
        "key": "é\u2028\n",
        "value": "a\nb\0\U0001f600",
        "headers": [
            {"name": "from", "value": "EWR"},
            {"name": "from", "value": ""},
            {"name": "", "value_base64": "//8="},
        ],
    },
]


def lines_of(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def records_in(streamctl: Streamctl, topic: str) -> list[dict[str, Any]]:
    out = streamctl("consume", topic, "-e", "-o", "json").out
    records = [json.loads(line) for line in out.splitlines()]
    assert {record.pop("topic") for record in records} == {topic}
    return sorted(records, key=lambda record: (record["partition"], record["offset"]))


def test_a_topic_is_copied_exactly_record_by_record(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "exact", "--partitions", "3", "--set", "retention_ms=-1")
    streamctl("topic", "create", "copy", "--like", "exact")
    streamctl.produce(
        "exact",
        lines_of([*RECORDS, *({"value": f"{n}", "key": f"k{n % 7}"} for n in range(5_000))]),
        "--json",
    )
    told = streamctl.pipe(["-o", "json", "exact", "-e"], ["--json", "copy"])
    assert told == "5006 records acknowledged\n"
    original, copy = records_in(streamctl, "exact"), records_in(streamctl, "copy")
    assert len(original) == 5_006 and copy == original
    for record in RECORDS:
        expected = {"headers": [], **record}
        assert any(expected.items() <= found.items() for found in copy), expected


def test_a_copy_that_would_not_be_kept_is_warned_of_and_one_like_the_original_is_kept(
    streamctl: Streamctl,
) -> None:
    streamctl("topic", "create", "of-2013", "--partitions", "2", "--set", "retention_ms=-1")
    settings = ("--set", "retention_ms=2d", "--set", "segment_ms=1h")
    created = streamctl("topic", "create", "like-it", "--like", "of-2013", *settings, "-o", "json").json
    assert (created["partitions"], created["replication_factor"]) == (2, 3)
    told = streamctl.produce("like-it", lines_of([{"value": "new"}, *RECORDS[2:3]]), "--json").err
    assert "line 2 is of 1970-01-01T00:00:00Z, and topic 'like-it' keeps records for 2d" in told
    assert "`streamctl topic alter like-it --set retention_ms=-1` keeps them" in told
    streamctl("topic", "create", "kept", "--like", "of-2013")
    kept = streamctl("topic", "describe", "kept", "-o", "json").json["settings"]
    assert (kept["retention_ms"], kept["segment_ms"]) == ("-1", "604800000")
    assert streamctl.produce("kept", lines_of(RECORDS[:1]), "--json", "-p", "0").err == (
        "1 record acknowledged\n"
    )
    assert "did you mean 'kept'?" in streamctl("topic", "create", "x", "--like", "kpet", expect=3).err


def test_frames_copy_keys_and_values_exactly(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "frames", "--partitions", "1")
    streamctl("topic", "create", "frames-copy", "--partitions", "1")
    streamctl.produce("frames", lines_of(RECORDS), "--json", "-p", "0")
    options = ["--framing", "keyed-length"]
    streamctl.pipe([*options, "frames", "-O", "start", "-e"], [*options, "frames-copy"])
    bare = ("consume", "-O", "start", "-e", *options)
    assert streamctl(*bare, "frames-copy").out == streamctl(*bare, "frames").out
    told = streamctl.produce("frames", b"\0\0\0\1x\0\0\0\5cut", "--framing", "length", expect=1).err
    assert "1 record acknowledged" in told and "the input ends inside record 2" in told


def test_lines_name_their_topics_and_patterns_read_them(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "mix-a", "--partitions", "1")
    streamctl("topic", "create", "mix-b", "--partitions", "2")
    lines = (
        b'{"topic": "mix-a", "key": "k", "value": "one"}\n'
        b'{"topic": "mix-b", "value": "two", "partition": 1, "headers": [{"name": "h", "value": "x"}]}\n'
        b'{"topic": "mix-c", "value": "three"}\n'
        b'{"topic": "mix-a"}\n'
        b'{"topic": "mix-b", "value": "four", "partition": 7}\n'
        b'{"topic": "mix-a", "value": "five"}\n'
    )
    path = streamctl.home / "mix.lines"
    path.write_bytes(lines)
    produce = ("produce", "--json", "--file", str(path))
    refused = streamctl(*produce, expect=3).err
    assert "2 records acknowledged" in refused
    assert "line 3: topic 'mix-c' does not exist; did you mean 'mix-b'?" in refused or "'mix-a'?" in refused
    done = streamctl(*produce, "--skip-bad-lines", "-o", "json")
    assert done.json == {"topic": None, "acknowledged": 3, "skipped": 3}
    assert "line 4: the field 'value' is missing" in done.err and "3 bad lines skipped" in done.err
    assert "line 5: topic 'mix-b' has partitions 0 to 1, not 7; skipped" in done.err

    def read(*options: str) -> tuple[list[bytes], str]:
        result = streamctl("consume", *options, "-f", "%t:%s\\n")
        return sorted(result.out.splitlines()), result.err

    everything = [b"mix-a:five", b"mix-a:one", b"mix-a:one", b"mix-b:two", b"mix-b:two"]
    assert read("mix-*", "-O", "start", "-e")[0] == everything
    assert read("-r", "^mix-[ab]$", "-O", "start", "--until", "end")[0] == everything
    assert read("mix-a", "mix-b", "-O", "start", "--until", "1", "-e")[0] == [b"mix-a:one", b"mix-b:two"]
    assert read("mix-*", "-O", "start", "-e", "--grep", "^f|w") == (
        [b"mix-a:five", b"mix-b:two", b"mix-b:two"],
        "3 of 5 records match\n",
    )
    assert read("mix-*", "-O", "start", "-e", "--grep-key", "k", "-c", "1")[0] == [b"mix-a:one"]
    assert read("mix-*", "-O", "start", "-e", "--grep-header", "^h=x$")[0] == [b"mix-b:two"] * 2
    assert "no topic matches 'nix-*'" in streamctl("consume", "nix-*", "-e", expect=3).err


def test_ctrl_c_ends_a_producer_that_waits_for_input_and_it_says_what_it_did(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "slowly", "--partitions", "1")
    with streamctl.start("produce", "slowly", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as producer:
        assert producer.stdin is not None
        producer.stdin.write(b"1\n2\n")
        producer.stdin.flush()
        assert streamctl("consume", "slowly", "-O", "start", "-c", "2").out == b"1\n2\n"
        producer.send_signal(signal.SIGINT)
        _, told = producer.communicate(timeout=TIMEOUT_S)
    assert (producer.returncode, told) == (130, b"2 records acknowledged\n")
