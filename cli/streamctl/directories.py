"""Log directories of brokers as users name them: by path, or by id in hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode
from streamkeep_common.errors import StreamkeepError

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.partitions import Target
    from streamkeep_proto.v1.broker_pb2 import LogDir


async def directory_ids(
    cluster: Cluster, targets: Mapping[tuple[str, int], Target]
) -> dict[tuple[str, int], list[bytes]]:
    """For each partition that names any the id of each replica's directory, b"" where none is named.

    CommandError if a broker has no such directory, or does not tell which it has.
    """
    naming = {name: target for name, target in targets.items() if any(target.directories)}
    brokers = {
        broker
        for target in naming.values()
        for broker, directory in zip(target.replicas, target.directories, strict=True)
        if directory
    }
    known = await cluster.admin.describe_all_log_dirs(brokers) if brokers else {}
    return {
        name: [
            _find(broker, directory, known) if directory else b""
            for broker, directory in zip(target.replicas, target.directories, strict=True)
        ]
        for name, target in naming.items()
    }


def _find(broker: int, directory: str, known: Mapping[int, list[LogDir] | StreamkeepError]) -> bytes:
    dirs = known[broker]
    if isinstance(dirs, StreamkeepError):
        raise CommandError(f"broker {broker} does not tell its log directories: {dirs}", ExitCode.UNAVAILABLE)
    for each in dirs:
        if directory in (each.path, each.directory_id.hex()):
            return each.directory_id
    paths = ", ".join(each.path for each in dirs)
    raise CommandError(f"broker {broker} has no directory {directory}; it has {paths}", ExitCode.NOT_FOUND)
