"""A broker as it ships, but for its disk, which a test can break: `python -m` as `streamkeep_broker`."""

from __future__ import annotations

from typing import Any

from streamkeep_broker.broker import Broker
from streamkeep_common.allocator import keep_freed_memory
from streamkeep_common.seams import Disk
from streamkeep_common.server.main import main
from streamkeep_common.settings import BROKER_SETTINGS, BrokerSettings
from tests.integration.disk_faults import DiskFaults, FaultyDisk


def broker(settings: BrokerSettings, *, disk: Disk, **seams: Any) -> Broker:
    """With one log directory, whose switch is beside it."""
    (data_dir,) = settings.data_dirs
    return Broker(settings, disk=FaultyDisk(disk, DiskFaults(data_dir)), **seams)


if __name__ == "__main__":
    keep_freed_memory()
    main(BROKER_SETTINGS, BrokerSettings.of, broker)
