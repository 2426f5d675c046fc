"""Brokers without data: the shipping session and metadata watch, and nothing behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamkeep_broker.metadata.session import Session
from streamkeep_broker.metadata.watch import MetadataWatch
from streamkeep_common.coordinators import CoordinatorAddresses
from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL, ImageDelta
from streamkeep_proto.v1.coordinator_pb2 import BrokerHeartbeat, BrokerRegistered, RegisterBroker
from tests.sim.simulation import Machine, Simulation
from tests.sim.violation import require

WATCH_MONOTONIC = "a broker's image never goes back"
LOG_DIRECTORY_BYTES = 16


class LightBroker:
    """One broker through its incarnations. `show` is told of each new image, `fail` why it gives up."""

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        coordinators: Sequence[str],
        *,
        show: Callable[[LightBroker], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self.number = number
        self.name = f"broker-{number}"
        self.machine: Machine | None = None
        self.watch: MetadataWatch
        self.session: Session
        self._simulation = simulation
        self._coordinators = coordinators
        self._show = show
        self._fail = fail
        self._rng = simulation.rng(f"{self.name}/identity")
        self._directory_id = self._rng.randbytes(LOG_DIRECTORY_BYTES)
        self._cluster_id = ""
        self._index = 0

    def start(self) -> None:
        """A new incarnation."""
        machine = self.machine = self._simulation.machine(self.name)
        self._incarnation_id = self._rng.randbytes(16)
        self._index = 0
        machine.process.call(self._make, machine)

    def kill(self) -> None:
        assert self.machine is not None
        self.machine.kill()
        self.machine = None

    def _make(self, machine: Machine) -> None:
        self.watch = MetadataWatch(
            network=machine.network,
            clock=machine.clock,
            rng=machine.rng,
            on_entry=self._moved,
            on_snapshot=self._snapshot,
            on_failure=self._fail,
        )
        self.session = Session(
            coordinators=CoordinatorAddresses(self._coordinators),
            network=machine.network,
            clock=machine.clock,
            rng=machine.rng,
            registration=self._registration,
            heartbeat=lambda: BrokerHeartbeat(metadata_index=self.watch.image.index),
            on_registered=self._registered,
            on_failure=self._fail,
        )
        self.session.start()

    def _registration(self) -> RegisterBroker:
        return RegisterBroker(
            broker_id=self.number,
            incarnation_id=self._incarnation_id,
            cluster_id=self._cluster_id,
            address=f"{self.name}:7201",
            directory_ids=[self._directory_id],
            boot_id="one",
            min_feature_level=MIN_FEATURE_LEVEL,
            max_feature_level=MAX_FEATURE_LEVEL,
        )

    async def _registered(self, registered: BrokerRegistered, address: str) -> None:
        self._cluster_id = registered.cluster_id
        await self.watch.follow(address, registered.cluster_id)

    def _snapshot(self, delta: ImageDelta) -> None:
        self._simulation.note("broker.snapshot", f"{self.name} {self.watch.image.index}")
        self._moved(delta)

    def _moved(self, _delta: ImageDelta) -> None:
        index = self.watch.image.index
        require(index >= self._index, WATCH_MONOTONIC, f"{self.name} from {self._index} to {index}")
        self._index = index
        self._show(self)
