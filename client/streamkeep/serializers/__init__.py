"""How keys and values of a user's own types become bytes and come back; what needs nothing but Python.

    async with Producer("localhost:7101", key_serializer=STR, value_serializer=JSON) as producer: ...

`streamkeep.serializers.protobuf` and `streamkeep.serializers.pydantic` have those for message and model
classes. Knows nothing of records, topics or clients. None is never given to a serializer: a record without a
key has no key, and a tombstone stays None whatever its topic's values are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    K = DefaultTypeVar("K", default=bytes)
    V = DefaultTypeVar("V", default=bytes)
else:
    K = TypeVar("K")
    V = TypeVar("V")
"""The types of keys and values: bytes where nothing is said, so `Producer` is `Producer[bytes, bytes]`."""

T = TypeVar("T")


class Serializer(Protocol[T]):
    """A way to write values of one type as bytes. Instances hold no state: they may be shared by all clients.

    Equal keys have to give equal bytes: the partition of a record is chosen by the bytes of its key.
    """

    @property
    def name(self) -> str:
        """Short, for messages: "str", "json", the name of a message class."""

    def encode(self, value: T) -> bytes:
        """The bytes of a value. Raises TypeError or ValueError for what cannot be written."""

    def decode(self, data: bytes) -> T:
        """The value of these bytes. Raises ValueError for what `encode` could not have made."""


class BytesSerializer:
    """Bytes as they are: the default, and free of cost."""

    name = "bytes"

    def encode(self, value: bytes) -> bytes:
        """The value itself. Raises TypeError for anything but bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"bytes are wanted, not {type(value).__name__}")
        return value

    def decode(self, data: bytes) -> bytes:
        """The bytes themselves."""
        return data


class StrSerializer:
    """Text as UTF-8, as Kafka's StringSerializer writes it."""

    name = "str"

    def encode(self, value: str) -> bytes:
        """The text's UTF-8. Raises TypeError for anything but text, ValueError for a lone surrogate."""
        if not isinstance(value, str):
            raise TypeError(f"a str is wanted, not {type(value).__name__}")
        return value.encode()

    def decode(self, data: bytes) -> str:
        """The text. Raises ValueError (UnicodeDecodeError) for what is not UTF-8."""
        return data.decode()


class IntSerializer:
    """Whole numbers of -2**63 to 2**63 - 1 in 8 bytes, big-endian, signed: as Kafka's LongSerializer."""

    name = "int"

    def encode(self, value: int) -> bytes:
        """The 8 bytes. Raises TypeError for anything but an int, ValueError for what needs more bytes."""
        if not isinstance(value, int):
            raise TypeError(f"an int is wanted, not {type(value).__name__}")
        try:
            return value.to_bytes(8, "big", signed=True)
        except OverflowError:
            raise ValueError(f"{value} does not fit into 8 bytes") from None

    def decode(self, data: bytes) -> int:
        """The number. Raises ValueError for anything but 8 bytes."""
        if len(data) != 8:
            raise ValueError(f"8 bytes are wanted, not {len(data)}")
        return int.from_bytes(data, "big", signed=True)


class JsonSerializer:
    """What JSON can say, as UTF-8 without blanks; an object's members are sorted, so equal keys are equal.

    NaN and infinities are not JSON: they are not written. They are read, since other programs write them.
    """

    name = "json"

    def encode(self, value: Any) -> bytes:
        """The JSON text. Raises TypeError for what JSON has no word for, ValueError for NaN and cycles."""
        try:
            return _json_encode()(value).encode()
        except RecursionError:
            raise ValueError("it is nested too deeply for JSON") from None

    def decode(self, data: bytes) -> Any:
        """The value. Raises ValueError (json.JSONDecodeError, UnicodeDecodeError) for what is not JSON."""
        from json import loads

        try:
            return loads(data.decode("utf-8-sig"))  # of bytes it would guess the encoding: UTF-16 of numbers
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


@cache
def _json_encode() -> Callable[[Any], str]:
    """Imported here, so that who does not write JSON does not pay for it."""
    from json import JSONEncoder

    return JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


BYTES: Serializer[bytes] = BytesSerializer()
STR: Serializer[str] = StrSerializer()
INT: Serializer[int] = IntSerializer()
JSON: Serializer[Any] = JsonSerializer()

__all__ = ["BYTES", "INT", "JSON", "STR", "Serializer"]
