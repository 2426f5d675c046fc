"""What serializers write, what they read back, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from streamkeep.serializers import BYTES, INT, JSON, STR, Serializer
from streamkeep.serializers.protobuf import ProtobufSerializer
from streamkeep.serializers.pydantic import PydanticSerializer
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Flight(BaseModel):
    carrier: str
    delay_min: int = Field(alias="delay")


MODEL = PydanticSerializer(Flight)
MESSAGE = ProtobufSerializer(LeaderHint)


@pytest.mark.parametrize(
    ("serializer", "value", "data"),
    [
        (BYTES, b"\x00\xff", b"\x00\xff"),
        (STR, "Zürich ✈", "Zürich ✈".encode()),
        (STR, "", b""),
        (INT, 0, bytes(8)),
        (INT, -1, b"\xff" * 8),
        (INT, 2**63 - 1, b"\x7f" + b"\xff" * 7),
        (INT, -(2**63), b"\x80" + bytes(7)),
        (JSON, {"b": [1, 2.5, None, True], "a": "ü"}, '{"a":"ü","b":[1,2.5,null,true]}'.encode()),
        (MODEL, Flight(carrier="UA", delay=7), b'{"carrier":"UA","delay":7}'),
        (MESSAGE, LeaderHint(broker_id=3), b"\x08\x03"),
    ],
)
def test_what_is_written_is_read_back(serializer: Serializer[Any], value: Any, data: bytes) -> None:
    assert serializer.encode(value) == data
    assert serializer.decode(data) == value


def test_equal_objects_are_equal_keys() -> None:
    assert JSON.encode({"a": 1, "b": 2}) == JSON.encode({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("serializer", "value", "kind"),
    [
        (BYTES, "text", TypeError),
        (STR, b"bytes", TypeError),
        (STR, "\ud800", ValueError),
        (INT, "7", TypeError),
        (INT, 2**63, ValueError),
        (INT, -(2**63) - 1, ValueError),
        (JSON, {1, 2}, TypeError),
        (JSON, float("nan"), ValueError),
        (MODEL, {"carrier": "UA"}, TypeError),
        (MESSAGE, RecordBatch(), TypeError),
    ],
)
def test_what_cannot_be_written_is_refused(
    serializer: Serializer[Any], value: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        serializer.encode(value)


@pytest.mark.parametrize(
    ("serializer", "data"),
    [
        (STR, b"\xff"),
        (INT, b"7"),
        (INT, bytes(9)),
        (JSON, b"{"),
        (JSON, b""),
        (JSON, b"\xff"),
        (JSON, b"[" * 1_000_000),
        (MODEL, b'{"carrier":"UA"}'),
        (MODEL, b"\xff"),
        (MESSAGE, b"\xff\xff"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(serializer: Serializer[Any], data: bytes) -> None:
    with pytest.raises(ValueError):
        serializer.decode(data)


def test_a_cycle_is_not_written_as_json() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ValueError, match="Circular"):
        JSON.encode(cycle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="deeply"):
        JSON.encode(deep)


def test_serializers_are_known_by_name() -> None:
    serializers: list[Serializer[Any]] = [BYTES, STR, INT, JSON, MODEL, MESSAGE]
    names = [serializer.name for serializer in serializers]
    assert names == ["bytes", "str", "int", "json", "Flight", "streamkeep.v1.LeaderHint"]


@pytest.mark.parametrize("data", ["12".encode("utf-16-be"), "1".encode("utf-32-be"), b'"\xed\xa0\x80"'])
def test_json_is_utf_8_and_no_other_encoding_is_guessed(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"decode|Extra data|Expecting"):
        JSON.decode(data)
    assert JSON.decode(b"\xef\xbb\xbf12") == 12, "a byte order mark does no harm"
