"""Messages and segments serialized by earlier versions still mean what they meant.

A sample is never rewritten. `REWRITE=1 pytest tests/golden` adds one for each message that has none with
all its fields; review what it adds and commit it with the change.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from streamkeep_common.records import (
    FRAME_HEADER_BYTES,
    Codec,
    batch_to_frame,
    decode_batch,
    encode_batch,
    stamp,
    unpack_header,
    verify_records,
)
from streamkeep_proto.v1 import (
    broker_pb2,
    coordinator_pb2,
    errors_pb2,
    metadata_pb2,
    raft_pb2,
    records_pb2,
    settings_pb2,
)
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.golden.populate import variants

SAMPLES = Path(__file__).parent / "samples"
MODULES = (records_pb2, errors_pb2, metadata_pb2, coordinator_pb2, broker_pb2, raft_pb2, settings_pb2)
WRITE = os.environ.get("REWRITE") == "1"


def messages() -> dict[str, Descriptor]:
    files: list[FileDescriptor] = [module.DESCRIPTOR for module in MODULES]
    return {name: descriptor for file in files for name, descriptor in file.message_types_by_name.items()}


def folder_of(descriptor: Descriptor) -> Path:
    return SAMPLES / Path(descriptor.file.name).stem


def samples_of(descriptor: Descriptor, variant: str) -> list[Path]:
    name = f"{descriptor.name}.{variant}" if variant else descriptor.name
    return sorted(folder_of(descriptor).glob(f"{name}-[0-9]*.bin"))


def as_text(message: Message) -> str:
    return text_format.MessageToString(message, as_utf8=True)


def write_sample(descriptor: Descriptor, variant: str, message: Message) -> None:
    number = len(samples_of(descriptor, variant)) + 1
    name = f"{descriptor.name}.{variant}-{number}" if variant else f"{descriptor.name}-{number}"
    folder = folder_of(descriptor)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True))
    (folder / f"{name}.txtpb").write_text(as_text(message), encoding="utf-8")


@pytest.mark.parametrize("name", messages())
def test_every_field_of_every_message_stands_in_a_sample(name: str) -> None:
    descriptor = messages()[name]
    for variant, message in variants(descriptor):
        texts = [path.with_suffix(".txtpb").read_text("utf-8") for path in samples_of(descriptor, variant)]
        if WRITE and as_text(message) not in texts:
            write_sample(descriptor, variant, message)
            continue
        assert as_text(message) in texts, "run with REWRITE=1 and commit what it adds"


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.bin")), ids=lambda path: path.stem)
def test_an_old_sample_still_parses_to_the_same_text(path: Path) -> None:
    descriptor = messages()[path.name.partition("-")[0].partition(".")[0]]
    message = GetMessageClass(descriptor).FromString(path.read_bytes())
    assert as_text(message) == path.with_suffix(".txtpb").read_text("utf-8")
    assert not UnknownFieldSet(message), "a field was removed"  # type: ignore[no-untyped-call]


def sample_segment(codec: Codec) -> bytes:
    """Two batches with everything that records can have."""
    segment = b""
    for number in range(2):
        batch = encode_batch(
            values=[b"one", None, b"", b"four" * 30],
            keys=[b"k1", b"", None, b"k4"],
            timestamps_ms=[1_357_000_000_000, 1_357_000_000_007, 1_356_999_999_999, 1_357_000_000_000],
            headers={0: [("trace", b"\x01\x02"), ("trace", b"")], 3: [("h\u00e9", b"v")]},
            codec=codec,
            producer_id=3,
            producer_epoch=1,
            base_sequence=4 * number,
        )
        segment += stamp(
            batch,
            batch.records,
            base_offset=100 + 4 * number,
            leader_epoch=2,
            append_time_ms=1_357_000_000_050,
            log_append_time=number == 1,
        )
        segment += batch.records
    return segment


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name.lower())
def test_an_old_segment_is_still_read(codec: Codec) -> None:
    path = SAMPLES / "segments" / f"{codec.name.lower()}.log"
    if WRITE and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample_segment(codec))
    old = path.read_bytes()
    position = 0
    for number, batch in enumerate(LogSegment.FromString(old).batches):
        header = unpack_header(old, position)
        verify_records(header, old[position + FRAME_HEADER_BYTES : position + header.frame_bytes])
        position += header.frame_bytes
        read = decode_batch(batch)
        assert read.values == [b"one", None, b"", b"four" * 30]
        assert read.keys == [b"k1", b"", None, b"k4"]
        assert read.headers == {0: [("trace", b"\x01\x02"), ("trace", b"")], 3: [("h\u00e9", b"v")]}
        assert list(read.offsets) == [100 + 4 * number + index for index in range(4)]
        assert read.timestamps_ms == (
            [1_357_000_000_050] * 4
            if number == 1
            else [1_357_000_000_000, 1_357_000_000_007, 1_356_999_999_999, 1_357_000_000_000]
        )
        assert batch_to_frame(batch) == old[position - header.frame_bytes : position]
    assert position == len(old)


def test_a_segment_without_compression_is_written_as_it_always_was() -> None:
    assert sample_segment(Codec.NONE) == (SAMPLES / "segments" / "none.log").read_bytes()
