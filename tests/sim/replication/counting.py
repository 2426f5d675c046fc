"""Counts what the judge does not see: what is said on streams, and what is decided in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from google.protobuf.message import DecodeError

from streamkeep_broker.log.producer_states import Duplicate, ProducerStates
from streamkeep_common.methods import PRODUCE, REPLICATE
from streamkeep_proto.v1.broker_pb2 import ProduceResponse
from streamkeep_proto.v1.errors_pb2 import NONE, ErrorCode
from streamkeep_proto.v1.replication_pb2 import ReplicateResponse
from tests.sim.replication.world import World


@contextmanager
def counting(world: World) -> Iterator[None]:
    """While it is entered everything is counted in the simulation's trace."""
    note = world.simulation.note
    rightly = ProducerStates.check

    def check(self: ProducerStates, *arguments: Any) -> Duplicate | None:
        found = rightly(self, *arguments)
        if found is not None:
            note("duplicate answered")
        return found

    def overhear_produce(source: str, target: str, data: bytes) -> None:
        if not source.startswith("broker"):
            return
        try:
            response = ProduceResponse.FromString(data)
        except DecodeError:
            return
        for result in response.results:
            if result.error.code != NONE:
                note(f"produce {ErrorCode.Name(result.error.code)}", f"{source} to {target}")

    def overhear_replicate(source: str, target: str, data: bytes) -> None:
        try:
            response = ReplicateResponse.FromString(data)
        except DecodeError:
            return
        for push in response.pushes:
            if push.HasField("end"):
                kind = push.end.WhichOneof("end")
                told = ErrorCode.Name(push.end.error.code) if kind == "error" else kind
                note(f"follow ended: {told}", f"{source} to {target}")

    world.fabric.taps[PRODUCE.path] = overhear_produce
    world.fabric.taps[REPLICATE.path] = overhear_replicate
    with patch.object(ProducerStates, "check", check):
        yield
