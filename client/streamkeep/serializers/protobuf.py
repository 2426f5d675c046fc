"""Keys and values that are protobuf messages."""

from __future__ import annotations

from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

M = TypeVar("M", bound=Message)


class ProtobufSerializer(Generic[M]):
    """Messages of one class, in protobuf's binary format and nothing before it: no registry's id."""

    def __init__(self, message_class: type[M]) -> None:
        self._class = message_class
        self.name = message_class.DESCRIPTOR.full_name

    def encode(self, value: M) -> bytes:
        """The message's bytes, its map entries sorted.

        Raises TypeError for another class, ValueError if a required field is missing.
        """
        if not isinstance(value, self._class):
            raise TypeError(f"a {self.name} is wanted, not {type(value).__name__}")
        try:
            return value.SerializeToString(deterministic=True)
        except EncodeError as error:
            raise ValueError(str(error)) from None

    def decode(self, data: bytes) -> M:
        """The message, with fields it does not know too. Raises ValueError for bytes that are none."""
        try:
            return self._class.FromString(data)
        except DecodeError as error:
            raise ValueError(str(error)) from None
