"""Which of the development clusters on this machine a command means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamctl.dev.cluster_file import NOT_LIVING
from streamctl.dev.plan import COORDINATOR
from streamctl.dev.processes import state_of
from streamctl.dev.store import ClusterStore, default_data_dir, known_data_dirs
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import DEFAULT_BOOTSTRAP, Invocation


def chosen_stores(data_dir: Path | None) -> list[ClusterStore]:
    """The directory that was named, else every known cluster, else the default directory."""
    if data_dir is not None:
        return [ClusterStore(data_dir.absolute())]
    return [ClusterStore(path) for path in known_data_dirs() or [default_data_dir()]]


def known_bootstrap() -> str | None:
    """The coordinators of the development cluster that runs here; None unless it is the only one."""
    running = [store for store in map(ClusterStore, known_data_dirs()) if is_running(store)]
    if len(running) != 1:
        return None
    return ",".join(record.address for record in running[0].read() if record.role == COORDINATOR)


def running_store(invocation: Invocation, stores: Sequence[ClusterStore]) -> ClusterStore | None:
    """The cluster that runs; of several the one that other commands speak to. None if nothing runs."""
    return _meant(invocation, [store for store in stores if is_running(store)])


def remembered_store(invocation: Invocation, stores: Sequence[ClusterStore]) -> ClusterStore | None:
    """As `running_store`, of the clusters that were not ended as a whole, whether anything runs or not."""
    return _meant(invocation, [store for store in stores if store.read()])


def _meant(invocation: Invocation, stores: Sequence[ClusterStore]) -> ClusterStore | None:
    if len(stores) < 2:
        return stores[0] if stores else None
    asked = set((invocation.bootstrap or DEFAULT_BOOTSTRAP).split(","))
    for store in stores:
        if asked & {record.address for record in store.read()}:
            return store
    directories = " and ".join(str(store.data_dir) for store in stores)
    raise CommandError(f"clusters are in {directories}: say which is meant with --data-dir", ExitCode.USAGE)


def is_running(store: ClusterStore) -> bool:
    """Whether any process of it lives."""
    return any(state_of(record) not in NOT_LIVING for record in store.read())
