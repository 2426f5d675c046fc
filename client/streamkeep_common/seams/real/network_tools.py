"""Health and reflection beside our services, so that probes and grpcurl work as they are.

Their libraries belong to the [server] extra: they are imported by who serves, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

if TYPE_CHECKING:
    from grpc_health.v1.health.aio import HealthServicer

HEALTH_SERVICE: Final = "grpc.health.v1.Health"
REFLECTION_SERVICE: Final = "grpc.reflection.v1alpha.ServerReflection"


async def add_health(server: grpc.aio.Server, names: Sequence[str]) -> HealthServicer:
    """Serve grpc.health.v1: the server ("") and each named service are SERVING."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_health.v1.health import aio

    health = aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for name in names:
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    return health


class Reflection(grpc.GenericRpcHandler):
    """Describes the services to tools such as grpcurl. Its code takes 3 MiB: loaded when first asked for."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = (*names, HEALTH_SERVICE, REFLECTION_SERVICE)
        self._handler: grpc.RpcMethodHandler[Any, Any] | None = None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method != f"/{REFLECTION_SERVICE}/ServerReflectionInfo":
            return None
        if self._handler is None:
            self._handler = self._load()
        return self._handler

    def _load(self) -> grpc.RpcMethodHandler[Any, Any]:
        from grpc_reflection.v1alpha import reflection, reflection_pb2

        return grpc.stream_stream_rpc_method_handler(
            reflection.aio.ReflectionServicer(self._names).ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
