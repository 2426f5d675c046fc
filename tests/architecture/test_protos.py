"""The .proto files are what writers of other clients read: everything in them is explained."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from tests.architecture.source import ROOT

PROTOS = ROOT / "protos"
# Numbers of fields in descriptor.proto: source paths are made of them.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD_OF_MESSAGE, VALUE_OF_ENUM, METHOD_OF_SERVICE = 2, 2, 2


@cache
def proto_files(folder: Path) -> list[FileDescriptorProto]:
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    output = folder / "protos.bin"
    status = protoc.main(
        ["protoc", f"-I{PROTOS}", f"--descriptor_set_out={output}", "--include_source_info", *names]
    )
    assert status == 0
    return list(FileDescriptorSet.FromString(output.read_bytes()).file)


def uncommented(file: FileDescriptorProto) -> Iterator[str]:
    comments = {
        tuple(location.path): location.leading_comments for location in file.source_code_info.location
    }
    for index, message in enumerate(file.message_type):
        if (MESSAGE, index) not in comments or not comments[MESSAGE, index]:
            yield message.name
        for number, field in enumerate(message.field):
            if not comments[MESSAGE, index, FIELD_OF_MESSAGE, number]:
                yield f"{message.name}.{field.name}"
    for index, enum in enumerate(file.enum_type):
        if not comments[ENUM, index]:
            yield enum.name
        for number, value in enumerate(enum.value):
            if not comments[ENUM, index, VALUE_OF_ENUM, number]:
                yield f"{enum.name}.{value.name}"
    for index, service in enumerate(file.service):
        if not comments[SERVICE, index]:
            yield service.name
        for number, method in enumerate(service.method):
            if not comments[SERVICE, index, METHOD_OF_SERVICE, number]:
                yield f"{service.name}.{method.name}"


def test_everything_in_the_protos_is_explained(tmp_path: Path) -> None:
    assert [name for file in proto_files(tmp_path) for name in uncommented(file)] == []


def test_every_proto_says_what_may_change(tmp_path: Path) -> None:
    for path in PROTOS.rglob("*.proto"):
        assert "COMPATIBILITY" in path.read_text(encoding="utf-8"), f"{path.name} has no compatibility note"


@pytest.mark.parametrize("name", ["streamkeep_proto/v1/records.proto"])
def test_a_batch_is_packed_in_the_order_of_its_fields(tmp_path: Path, name: str) -> None:
    (file,) = (file for file in proto_files(tmp_path) if file.name == name)
    (batch,) = (message for message in file.message_type if message.name == "RecordBatch")
    assert [field.number for field in batch.field] == list(range(1, 16))
