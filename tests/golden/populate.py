"""Messages with every field set, made from their descriptors; the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


def variants(descriptor: Descriptor) -> Iterator[tuple[str, Message]]:
    """The message with all its fields set, once for each member of its oneof if it has one."""
    members = [field for field in descriptor.fields if real_oneof(field)]
    for member in members or [None]:
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if field is member or not real_oneof(field):
                fill(message, field)
        yield (member.name if member else ""), message


def real_oneof(field: FieldDescriptor) -> bool:
    """In a oneof of the .proto, not in the one that `optional` makes."""
    oneof = field.containing_oneof
    return oneof is not None and not oneof.name.startswith("_")


def fill(message: Message, field: FieldDescriptor) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        target["a name"] = "a value"
    elif field.is_repeated:
        target.extend(items(field))
    elif field.message_type is not None:
        target.CopyFrom(next(iter(items(field))))
        target.SetInParent()
    else:
        setattr(message, field.name, scalar(field))


def items(field: FieldDescriptor) -> list[Any]:
    if field.message_type is not None:
        return [message for _, message in variants(field.message_type)]
    return [scalar(field), scalar(field)]


def scalar(field: FieldDescriptor) -> Any:
    """A value that is not the default, and differs between fields."""
    if field.cpp_type in INTEGERS:
        return 1_000 + field.number
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return first_value(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return field.name.encode() + b"\x00\xff"
    assert field.type == FieldDescriptor.TYPE_STRING, f"no sample for the type of {field.full_name}"
    return f"{field.name} \N{LATIN SMALL LETTER E WITH ACUTE}"


def first_value(enum: EnumDescriptor) -> int:
    """The least that is not the default: unlike the last it stays when values are added."""
    return min(value.number for value in enum.values if value.number)
