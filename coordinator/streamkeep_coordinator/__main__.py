"""`python -m streamkeep_coordinator`: a coordinator on the machine's own clock, disks and network."""

from __future__ import annotations

from streamkeep_common.grpc_poller import choose_poller

if __name__ == "__main__":
    choose_poller()  # before grpc is imported

    from streamkeep_common.server.main import main
    from streamkeep_common.settings import COORDINATOR_SETTINGS, CoordinatorSettings
    from streamkeep_coordinator.coordinator import Coordinator

    main(COORDINATOR_SETTINGS, CoordinatorSettings.of, Coordinator)
