"""`python -m streamkeep_broker`: a broker on the machine's own clock, disks and network."""

from __future__ import annotations

from streamkeep_common.allocator import keep_freed_memory
from streamkeep_common.grpc_poller import choose_poller

if __name__ == "__main__":
    keep_freed_memory()
    choose_poller()  # before grpc is imported

    from streamkeep_broker.broker import Broker
    from streamkeep_common.server.main import main
    from streamkeep_common.settings import BROKER_SETTINGS, BrokerSettings

    main(BROKER_SETTINGS, BrokerSettings.of, Broker)
