"""What only the real network has: gRPC's own clients, strangers on the port, processes that die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common import methods
from streamkeep_common.limits import MAX_MESSAGE_BYTES
from streamkeep_common.seams import CallInfo, Listener, RpcError, ServerStream, Service, Status
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1 import broker_pb2, coordinator_pb2
from tests.unit.common.seams.real_service import ASK, TALK, assert_serves, listening

# --- gRPC's own clients ---


async def test_a_generated_client_speaks_with_our_server() -> None:
    import grpc.aio

    from streamkeep_proto.v1.broker_pb2_grpc import BrokerServiceStub
    from streamkeep_proto.v1.coordinator_pb2_grpc import MetadataServiceStub

    async def list_offsets(
        _request: broker_pb2.ListOffsetsRequest, _info: CallInfo
    ) -> broker_pb2.ListOffsetsResponse:
        return broker_pb2.ListOffsetsResponse()

    async def produce(
        stream: ServerStream[broker_pb2.ProduceRequest, broker_pb2.ProduceResponse],
    ) -> None:
        while await stream.receive() is not None:
            await stream.send(broker_pb2.ProduceResponse())

    async def watch(
        stream: ServerStream[coordinator_pb2.WatchRequest, coordinator_pb2.WatchResponse],
    ) -> None:
        assert await stream.receive() == coordinator_pb2.WatchRequest()
        for _ in range(3):
            await stream.send(coordinator_pb2.WatchResponse())

    broker = Service(methods.BROKER_SERVICE, {methods.LIST_OFFSETS: list_offsets}, {methods.PRODUCE: produce})
    metadata = Service(methods.METADATA_SERVICE, {}, {methods.WATCH: watch})
    async with (
        listening(broker, metadata) as listener,
        grpc.aio.insecure_channel(listener.address) as channel,
    ):
        stub = BrokerServiceStub(channel)
        assert await stub.ListOffsets(broker_pb2.ListOffsetsRequest(), timeout=5) is not None
        requests = [broker_pb2.ProduceRequest() for _ in range(4)]
        assert len([answer async for answer in stub.Produce(iter(requests), timeout=5)]) == 4
        events = MetadataServiceStub(channel).Watch(coordinator_pb2.WatchRequest(), timeout=5)
        assert len([event async for event in events]) == 3


async def test_reflection_names_the_services_and_describes_them() -> None:
    import grpc.aio
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    service = Service(methods.BROKER_SERVICE, {}, {})
    async with listening(service) as listener, grpc.aio.insecure_channel(listener.address) as channel:
        questions = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=methods.BROKER_SERVICE),
        ]
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(questions), timeout=5)]
        assert {found.name for found in listed.list_services_response.service} == {
            methods.BROKER_SERVICE,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        files = described.file_descriptor_response.file_descriptor_proto
        names = [found.name for file in files for found in FileDescriptorProto.FromString(file).service]
        assert "BrokerService" in names


async def test_health_is_told_for_the_server_and_each_service_until_it_stops() -> None:
    import grpc.aio
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    serving, stopping = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with listening() as listener, grpc.aio.insecure_channel(listener.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "real.v1.Real"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == serving
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="unheard.of"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == serving
        async with asyncio.timeout(5):  # a watch must not hold the server up
            await listener.stop(30)
        assert (await watch.read()).status == stopping


async def test_a_strangers_message_over_the_limit_is_refused() -> None:
    import grpc.aio

    async with listening() as listener:
        unlimited = (("grpc.max_send_message_length", -1),)
        async with grpc.aio.insecure_channel(listener.address, options=unlimited) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(ASK.path)(b"\0" * (MAX_MESSAGE_BYTES + 1), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await assert_serves(listener)


# --- Strangers on the port ---


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        bytes(range(256)) * 64,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
    ],
    ids=["plain HTTP", "garbage", "garbage frames", "TLS"],
)
async def test_a_stranger_is_hung_up_on_and_nobody_else_notices(noise: bytes) -> None:
    async with listening() as listener:
        channel = GrpcNetwork().dial(listener.address)
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"before"))
        host, _, port = listener.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        with suppress(OSError):  # it may have been hung up on at the first byte
            writer.write_eof()
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                await reader.read()
        await hang_up(writer)
        await stream.send(BytesValue(value=b"after"))
        assert [(await stream.receive()), (await stream.receive())] == [
            BytesValue(value=b"before"),
            BytesValue(value=b"after"),
        ]
        await channel.close()


async def test_clients_that_connect_and_say_nothing_do_no_harm() -> None:
    async with listening() as listener:
        host, _, port = listener.address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        await assert_serves(listener)
        async with asyncio.timeout(5):  # nor do they hold it up when it stops
            await listener.stop(30)
        for _, writer in silent:
            await hang_up(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


# --- The network between, and processes ---


async def test_a_peer_on_another_continent_can_be_connected_to() -> None:
    async with listening() as listener, slow_way_to(listener, one_way_s=0.15) as address:
        channel = GrpcNetwork().dial(address)
        assert await channel.call(ASK, BytesValue(value=b"far"), timeout_s=10) == BytesValue(value=b"far")
        await channel.close()


@asynccontextmanager
async def slow_way_to(listener: Listener, *, one_way_s: float) -> AsyncIterator[str]:
    """A proxy that passes everything on after a while."""
    host, _, port = listener.address.rpartition(":")
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []

    class Side(asyncio.Protocol):
        other: asyncio.Transport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            transports.append(transport)

        def data_received(self, data: bytes) -> None:
            loop.call_later(one_way_s, self.other.write, data)

    class Near(Side):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()
            self.connecting = asyncio.ensure_future(self.connect())

        async def connect(self) -> None:
            other, far = await loop.create_connection(Side, host, int(port))
            self.other, far.other = other, self.transport
            self.transport.resume_reading()

    proxy = await loop.create_server(Near, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()
        for transport in transports:
            transport.abort()
        await proxy.wait_closed()


async def test_an_address_that_is_none_is_an_os_error() -> None:
    network = GrpcNetwork()
    for address in ("127.0.0.1", "127.0.0.1:http", "no.such.host.invalid:0"):
        with pytest.raises(OSError, match=address):
            await network.serve(address, [])
    channel = network.dial("no.such.host.invalid:1")
    with pytest.raises(RpcError) as caught:
        await channel.call(ASK, BytesValue(), timeout_s=5)
    assert caught.value.status in (Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED)
    await channel.close()
