"""Messages as bytes, as they travel: bounded, and parsed by whoever receives them."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from streamkeep_common.limits import MAX_MESSAGE_BYTES
from streamkeep_common.seams.network import RpcError, Status

M = TypeVar("M", bound=Message)


def serialize(message: Message | bytes) -> bytes:
    """Unless that was done. RpcError(RESOURCE_EXHAUSTED) above MAX_MESSAGE_BYTES."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    if len(data) > MAX_MESSAGE_BYTES:
        raise RpcError(
            Status.RESOURCE_EXHAUSTED,
            f"a message of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}",
        )
    return data


def parse(message_type: type[M], data: bytes, fault: Status) -> M:
    """RpcError(`fault`) if the bytes are no such message."""
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        raise RpcError(fault, f"not a {message_type.DESCRIPTOR.full_name}: {error}") from error
