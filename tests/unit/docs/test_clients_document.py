"""docs/clients.md is what writers of other clients believe: its vectors, tables and numbers are true."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from crc32c import crc32c

from streamkeep.consumer.fetcher import _RETRY as FETCH_RETRY
from streamkeep.consumer.route import SHUN
from streamkeep.metadata_cache import REFRESH_INTERVAL_S
from streamkeep.producer.answers import Action, action_for
from streamkeep.producer.options import MAX_IN_FLIGHT, ProducerOptions
from streamkeep.producer.sender import _RETRY as PRODUCE_RETRY
from streamkeep.streams import RECONNECT, SILENCE_S
from streamkeep_broker.services.fetch_session import MAX_SUBSCRIPTIONS
from streamkeep_broker.services.limits import HEARTBEAT_S, MAX_PARTITIONS_PER_REQUEST
from streamkeep_common import limits
from streamkeep_common.coordinators.search import PATIENCE_S
from streamkeep_common.errors import BY_CODE, StreamkeepError
from streamkeep_common.partitioning import murmur2
from streamkeep_common.records import check_produced_batch, encode_batch, produced_values, records_crc, stamp
from streamkeep_common.records.codecs import Codec, decompress
from streamkeep_common.seams.real.network_wire import CLIENT_OPTIONS, MAX_STREAMS_PER_CONNECTION
from streamkeep_common.settings.topic import TopicSettings
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch, Records
from tests.architecture.source import ROOT

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
NOW_MS = 1_357_000_000_010

ACTIONS = {
    Action.DONE: "done",
    Action.FIND_LEADER: "leader",
    Action.TRY_AGAIN: "again",
    Action.RENUMBER: "sequence",
    Action.SPLIT: "halves",
    Action.GIVE_UP: "fail",
}


def section(title: str) -> str:
    """From its heading to the next one."""
    (found,) = re.findall(rf"^## {title}.*?\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(found)


def vectors(name: str) -> dict[str, str]:
    """The lines `what: value` of one block."""
    (block,) = re.findall(rf"^```vector {name}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    pairs = (
        line.rsplit(": ", 1) if name != "murmur2" else line.split(": ", 1) for line in block.splitlines()
    )
    return {what.strip(): value.strip() for what, value in pairs}


def rows(title: str, header: str) -> list[list[str]]:
    """The cells of the table in a section that begins with this header, without backticks."""
    (table,) = re.findall(
        rf"^\| {re.escape(header)} .*?\n\|[-|]+\n((?:\|.*\n?)+)", section(title), re.MULTILINE
    )
    return [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]


def vector_batch() -> RecordBatch:
    return encode_batch(
        values=[b"hello", b"world"],
        keys=[b"k", None],
        timestamps_ms=[1_357_000_000_000, 1_357_000_000_005],
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
    )


# --- vectors ---


def test_the_vector_of_a_batch_can_be_followed_by_hand() -> None:
    told = vectors("batch")
    assert crc32c(b"123456789") == int(told['crc32c of "123456789"'], 16)
    records, values = bytes.fromhex(told["records"]), bytes.fromhex(told["values of fields 6-13"])
    assert len(values) == 44
    assert crc32c(values + records) == int(told["records_crc32c"], 16)
    sent = RecordBatch.FromString(bytes.fromhex(vectors("sent")["RecordBatch"]))
    assert struct.pack("<3I3q2i", *produced_values(sent)) == values
    assert (sent.records, sent.records_crc32c) == (records, int(told["records_crc32c"], 16))
    assert sent == vector_batch()
    check_produced_batch(sent, sent.records, settings=TopicSettings.of(), now_ms=NOW_MS)


def test_the_vector_of_a_frame_is_what_a_leader_makes_of_the_batch() -> None:
    told, batch = vectors("frame"), vector_batch()
    frame = bytes.fromhex(told["frame"])
    header = stamp(
        batch, batch.records, base_offset=42, leader_epoch=1, append_time_ms=NOW_MS, log_append_time=False
    )
    assert frame == header + batch.records
    assert crc32c(bytes.fromhex(told["values for header_crc32c"])) == int(told["header_crc32c"], 16)
    (stored,) = LogSegment.FromString(frame).batches
    assert stored.header_crc32c == int(told["header_crc32c"], 16)


def test_the_odd_vector_is_what_the_sdk_makes_of_its_records() -> None:
    told = vectors("odd")
    batch = encode_batch(
        values=[None, b"", b"v"],
        timestamps_ms=[5, 3, 9],
        headers={1: [("a", b"1"), ("a", b"")]},
        producer_id=7,
        producer_epoch=2,
        base_sequence=2**31 - 2,
    )
    assert batch.records == bytes.fromhex(told["records"])
    assert batch.records_crc32c == int(told["records_crc32c"], 16)
    assert batch.max_timestamp_ms == int(told["max_timestamp_ms"])
    assert (batch.base_sequence + batch.record_count) % 2**31 == int(told["next sequence"])


def test_every_codec_s_frame_opens_to_the_records() -> None:
    told, records = vectors("codecs"), bytes.fromhex(vectors("batch")["records"])
    assert list(told) == [f"{codec.value} {codec.name.lower()}" for codec in Codec]
    for codec in Codec:
        packed = bytes.fromhex(told[f"{codec.value} {codec.name.lower()}"])
        assert bytes(decompress(codec, packed, max_bytes=100)) == records
    assert zlib.decompress(bytes.fromhex(told["1 gzip"]), wbits=31) == records


def test_the_partitioner_s_vectors_are_true() -> None:
    for key, outcome in vectors("murmur2").items():
        digest = murmur2(key.strip('"').encode())
        assert outcome == f"{digest:08X} of 6: {(digest & 0x7FFFFFFF) % 6}"


# --- the order of the checks of a batch ---

Break = Callable[[RecordBatch, Records], None]


def _add_bits(bits: int) -> Break:
    def break_it(batch: RecordBatch, _: Records) -> None:
        batch.attributes |= bits

    return break_it


def _set(field: str, value: int) -> Break:
    return lambda batch, _: setattr(batch, field, value)


# What breaks each step that is a pure check; what takes more than the batch is broken in `broken`.
BREAKS: dict[str, Break] = {
    "codec": _add_bits(7),
    "attributes": _add_bits(1 << 8),
    "control": _add_bits(1 << 5),
    "transaction": _add_bits(1 << 4),
    "stamped": _set("base_offset", 1),
    "count": _set("record_count", 131_073),
    "delta": _set("last_offset_delta", 5),
    "producer": _set("producer_id", 0),
    "size": lambda *_: None,
    "checksum": lambda *_: None,
    "records": lambda _, records: records.keys.append(b"one too many"),
    "offsets": lambda _, records: records.offset_deltas.extend([0, 1]),
    "base time": lambda _, records: records.timestamp_deltas.__setitem__(0, 1),
    "greatest time": _set("max_timestamp_ms", 7),
    "time": lambda *_: None,
}
FAR_AHEAD_MS = NOW_MS + 3_700_000


def broken(steps: list[str]) -> StreamkeepError | None:
    """What a batch is refused for in which all these steps are broken."""
    batch = vector_batch()
    if "time" in steps:
        batch.base_timestamp_ms, batch.max_timestamp_ms = FAR_AHEAD_MS, FAR_AHEAD_MS + 5
    records = Records.FromString(batch.records)
    for step in steps:
        BREAKS[step](batch, records)
    batch.records = records.SerializeToString()
    batch.records_crc32c = records_crc(produced_values(batch), batch.records) ^ ("checksum" in steps)
    settings = TopicSettings.of()
    settings = replace(settings, max_batch_bytes=10) if "size" in steps else settings
    try:
        check_produced_batch(batch, batch.records, settings=settings, now_ms=NOW_MS)
    except StreamkeepError as error:
        return error
    return None


def test_a_batch_is_checked_in_the_order_that_is_told() -> None:
    told = {step: answers.split(", ") for step, _, answers in rows("Batches", "step")}
    steps = list(BREAKS)
    assert [step for step in told if step in BREAKS] == steps
    for number, step in enumerate(steps):
        alone, with_all_behind = broken([step]), broken(steps[number:])
        assert alone is not None and with_all_behind is not None, step
        assert errors_pb2.ErrorCode.Name(with_all_behind.code) in told[step], step
        assert type(alone) is type(with_all_behind), step
        # The same rule, not just the same code: the sentences differ at most in their numbers.
        assert re.sub(r"[\dxa-f]+", "", alone.message) == re.sub(r"[\dxa-f]+", "", with_all_behind.message), (
            step
        )
    assert broken([]) is None


def test_every_answer_that_is_told_has_a_code() -> None:
    for _, _, answers in rows("Batches", "step"):
        assert set(answers.split(", ")) <= set(errors_pb2.ErrorCode.keys())


# --- errors, limits, numbers ---


def test_the_table_of_errors_is_what_the_sdk_does() -> None:
    table = rows("Errors", "code")
    for number, name, retriable, action in table:
        code = errors_pb2.ErrorCode.Value(name)
        assert (int(number), retriable == "yes", action) == (
            code,
            BY_CODE[code].retriable,
            ACTIONS[action_for(code)],
        )
    named = {name for _, name, _, _ in table}
    acted_on = {
        code for code in BY_CODE if code < 200 and action_for(code) not in (Action.GIVE_UP, Action.TRY_AGAIN)
    }
    assert {errors_pb2.ErrorCode.Name(code) for code in acted_on} <= named
    told = {name for _, _, answers in rows("Batches", "step") for name in answers.split(", ")}
    assert told <= named


def test_the_retriable_codes_of_the_proto_are_those_of_the_code() -> None:
    proto = (ROOT / "protos" / "streamkeep_proto" / "v1" / "errors.proto").read_text()
    (told,) = re.findall(r"^// RETRIABLE\..*?So are(.*?)\.\n//\n", proto, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"[A-Z_]{5,}", told))
    assert named == {
        errors_pb2.ErrorCode.Name(code) for code, error in BY_CODE.items() if error.retriable and code < 200
    }


def test_the_limits_are_those_of_the_code() -> None:
    told = [int(re.sub(r"\D.*", "", value)) for _, value in rows("Limits", "what")]
    assert told == [
        limits.MAX_MESSAGE_BYTES,
        limits.MAX_BATCH_BYTES,
        limits.MAX_RECORDS_BYTES,
        limits.MAX_RECORDS_PER_BATCH,
        limits.MAX_HEADERS_PER_RECORD,
        limits.MAX_HEADERS_PER_BATCH,
        limits.MAX_TIMESTAMP_MS,
        limits.MAX_TOPIC_NAME,
        MAX_PARTITIONS_PER_REQUEST,
        MAX_SUBSCRIPTIONS,
        MAX_STREAMS_PER_CONNECTION,
    ]


def test_the_options_of_connections_are_the_sdk_s() -> None:
    used = dict(CLIENT_OPTIONS)
    for option, value, _ in rows("Connections", "option"):
        assert used[option] == int(value), option


def test_the_times_and_bounds_in_the_text_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.split())
    assert HEARTBEAT_S < 0.5 and "at least every **500 ms**" in text
    assert SILENCE_S == 1.0 and "Nothing heard for **1 s**" in text
    assert PATIENCE_S == 0.3 and "silent for 300 ms" in text
    assert (RECONNECT.first_wait_ms, RECONNECT.max_wait_ms) == (20, 80)
    assert "opened again after 20 ms, doubling to 80 ms" in text
    assert PRODUCE_RETRY == FETCH_RETRY and (FETCH_RETRY.first_wait_ms, FETCH_RETRY.max_wait_ms) == (20, 500)
    assert text.count("wait of 20 ms, doubling to 500 ms") + text.count("wait 20 ms, doubling to 500 ms") == 2
    assert (SHUN.first_wait_ms, SHUN.max_wait_ms) == (2_000, 300_000) and "2 s, doubling to 5 minutes" in text
    assert MAX_IN_FLIGHT == 5 and "At most five batches of one partition" in text
    assert ProducerOptions().delivery_timeout_ms == 120_000 and "120 s by default" in text
    assert REFRESH_INTERVAL_S == 60 and "every 60 s without trouble" in text


def test_what_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(#([a-z-]+)\)", DOCUMENT):
        headings = [
            re.sub(r"[^a-z -]", "", line[3:].lower())
            for line in DOCUMENT.splitlines()
            if line.startswith("## ")
        ]
        assert target in [heading.replace(" ", "-") for heading in headings]
