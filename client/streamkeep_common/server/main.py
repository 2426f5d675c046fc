"""From the command line to a running server: what `python -m streamkeep_broker` and its like have in common.

It puts a component on the machine's own clock, disks, network and threads; which component is the caller's.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol, TypeVar

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.seams import Clock, Disk, Network, Workers
from streamkeep_common.seams.real.clock import RealClock
from streamkeep_common.seams.real.disk import RealDisk
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_common.seams.real.workers import RealWorkers
from streamkeep_common.server import command_line, logs, process
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import Origin, SettingsTable


class ServerSettings(Protocol):
    """The settings that every server has."""

    @property
    def id(self) -> int: ...
    @property
    def metrics_listen(self) -> str: ...
    @property
    def log_level(self) -> str: ...
    @property
    def log_format(self) -> str: ...
    @property
    def stop_timeout_ms(self) -> int: ...


S_contra = TypeVar("S_contra", contravariant=True)
S = TypeVar("S", bound=ServerSettings)


class MakeServer(Protocol[S_contra]):
    """The constructor of a broker or a coordinator."""

    def __call__(
        self,
        settings: S_contra,
        *,
        clock: Clock,
        rng: random.Random,
        disk: Disk,
        network: Network,
        workers: Workers,
        metrics: Metrics,
        on_failure: process.OnFailure,
        origins: Mapping[str, Origin],
    ) -> process.Component: ...


def main(
    table: SettingsTable, typed_settings: Callable[[Mapping[str, str]], S], server: MakeServer[S]
) -> NoReturn:
    """Run until SIGTERM or SIGINT. Exit code 2 means that a setting is wrong."""
    try:
        texts, origins = command_line.parse(table, sys.argv[1:], os.environ)
        settings = typed_settings(texts)
    except StreamkeepError as error:
        sys.stderr.write(f"streamkeep {table.scope}: {error}\n")
        sys.exit(2)
    logs.configure(level=settings.log_level, log_format=logs.LogFormat(settings.log_format))
    metrics = Metrics()

    def make(on_failure: process.OnFailure) -> process.Component:
        return server(
            settings,
            clock=RealClock(),
            rng=random.SystemRandom(),
            disk=RealDisk(),
            network=GrpcNetwork(),
            workers=RealWorkers(),
            metrics=metrics,
            on_failure=on_failure,
            origins=origins,
        )

    process.run(
        make,
        role=table.scope,
        node_id=settings.id,
        metrics=metrics,
        metrics_address=settings.metrics_listen or None,
        stop_timeout_s=settings.stop_timeout_ms / 1000,
        debug=settings.log_level == "debug",
    )
