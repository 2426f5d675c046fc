"""`python -m streamkeep_coordinator`: a coordinator on the machine's own clock, disk and network."""

from __future__ import annotations

import os
import random
import sys

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.seams.real.disk import RealDisk
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_common.seams.real.workers import RealWorkers
from streamkeep_common.server import command_line, logs, process
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import COORDINATOR_SETTINGS, CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator


def main() -> None:
    """Run until SIGTERM or SIGINT. Exit code 2 means that a setting is wrong."""
    try:
        settings = CoordinatorSettings.of(command_line.parse(COORDINATOR_SETTINGS, sys.argv[1:], os.environ))
    except StreamkeepError as error:
        sys.stderr.write(f"streamkeep coordinator: {error}\n")
        sys.exit(2)
    logs.configure(level=settings.log_level, log_format=logs.LogFormat(settings.log_format))
    metrics = Metrics()

    def make(on_failure: process.OnFailure) -> Coordinator:
        return Coordinator(
            settings,
            clock=RealClock(),
            rng=random.SystemRandom(),
            disk=RealDisk(),
            network=GrpcNetwork(),
            workers=RealWorkers(),
            metrics=metrics,
            on_failure=on_failure,
        )

    process.run(
        make,
        role="coordinator",
        node_id=settings.id,
        metrics=metrics,
        metrics_address=settings.metrics_listen or None,
        stop_timeout_s=settings.stop_timeout_ms / 1000,
        debug=settings.log_level == "debug",
    )


if __name__ == "__main__":
    main()
