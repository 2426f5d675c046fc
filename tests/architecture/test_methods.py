from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from streamkeep_common import methods
from streamkeep_common.seams import StreamMethod, UnaryMethod
from streamkeep_proto.v1 import broker_pb2, coordinator_pb2, raft_pb2, replication_pb2, settings_pb2

PROTOS = (broker_pb2, coordinator_pb2, raft_pb2, replication_pb2, settings_pb2)
FILES: list[FileDescriptor] = [proto.DESCRIPTOR for proto in PROTOS]


def described(method: MethodDescriptor) -> UnaryMethod | StreamMethod:  # type: ignore[type-arg]
    kind = StreamMethod if method.client_streaming or method.server_streaming else UnaryMethod
    return kind(
        f"/{method.containing_service.full_name}/{method.name}",
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
    )


def test_the_list_of_methods_is_what_the_protos_say() -> None:
    expected = {
        method.path: method
        for file in FILES
        for service in file.services_by_name.values()
        for method in map(described, service.methods)
    }
    listed = {
        method.path: method
        for method in vars(methods).values()
        if isinstance(method, UnaryMethod | StreamMethod)
    }
    assert listed == expected


def test_the_names_of_services_are_those_of_the_protos() -> None:
    services = {service.full_name for file in FILES for service in file.services_by_name.values()}
    assert {name for key, name in vars(methods).items() if key.endswith("_SERVICE")} == services
