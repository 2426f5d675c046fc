"""A server as it ships, but for its network and its disk, which a test can break.

    python -m tests.integration.server_with_faults broker ROUTES --id 1 ...

ROUTES is a file that says where to dial instead of an address: the link between this process and that one
(`links.py`). A broker's disk obeys the switch beside its log directory (`disk_faults.py`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkeep_common.allocator import keep_freed_memory
from streamkeep_common.grpc_poller import choose_poller
from streamkeep_common.seams import Channel, Disk, Listener, Network, Service
from streamkeep_common.settings import (
    BROKER_SETTINGS,
    COORDINATOR_SETTINGS,
    BrokerSettings,
    CoordinatorSettings,
)
from tests.integration.disk_faults import DiskFaults, FaultyDisk

if TYPE_CHECKING:
    from streamkeep_broker.broker import Broker
    from streamkeep_coordinator.coordinator import Coordinator


class RoutedNetwork:
    """Dials links; listens as ever."""

    def __init__(self, real: Network, routes: Mapping[str, str]) -> None:
        self._real = real
        self._routes = routes

    def dial(self, address: str) -> Channel:
        return self._real.dial(self._routes.get(address, address))

    async def serve(self, address: str, services: Sequence[Service]) -> Listener:
        return await self._real.serve(address, services)


def run(role: str, routes: Mapping[str, str]) -> None:
    choose_poller()  # before grpc is imported, as in the servers' own `__main__`

    from streamkeep_broker.broker import Broker
    from streamkeep_common.server.main import main
    from streamkeep_coordinator.coordinator import Coordinator

    def broker(settings: BrokerSettings, *, network: Network, disk: Disk, **seams: Any) -> Broker:
        (data_dir,) = settings.data_dirs
        faulty = FaultyDisk(disk, DiskFaults(data_dir))
        return Broker(settings, network=RoutedNetwork(network, routes), disk=faulty, **seams)

    def coordinator(settings: CoordinatorSettings, *, network: Network, **seams: Any) -> Coordinator:
        return Coordinator(settings, network=RoutedNetwork(network, routes), **seams)

    if role == "coordinator":
        main(COORDINATOR_SETTINGS, CoordinatorSettings.of, coordinator)
    keep_freed_memory()
    main(BROKER_SETTINGS, BrokerSettings.of, broker)


if __name__ == "__main__":
    _, which, file, *options = sys.argv
    sys.argv[1:] = options
    run(which, json.loads(Path(file).read_text()))
