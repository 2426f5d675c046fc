"""The broker's gRPC services, method by method: one for clients, one for other brokers."""

from __future__ import annotations

from streamkeep_broker.services.fetch import FetchService
from streamkeep_broker.services.log_dirs import LogDirsService
from streamkeep_broker.services.offsets import OffsetsService
from streamkeep_broker.services.produce import ProduceService
from streamkeep_broker.services.producers import ProducersService
from streamkeep_broker.services.replica_hashes import ReplicaHashesService
from streamkeep_broker.services.replicate import ReplicateService
from streamkeep_common import methods
from streamkeep_common.seams import Service


def broker_service(
    *,
    produce: ProduceService,
    fetch: FetchService,
    offsets: OffsetsService,
    producers: ProducersService,
    log_dirs: LogDirsService,
) -> Service:
    """What clients call."""
    return Service(
        name=methods.BROKER_SERVICE,
        unary={
            methods.INIT_PRODUCER: producers.init_producer,
            methods.LIST_OFFSETS: offsets.list_offsets,
            methods.DELETE_RECORDS: offsets.delete_records,
            methods.DESCRIBE_PRODUCERS: producers.describe_producers,
            methods.DESCRIBE_LOG_DIRS: log_dirs.describe,
        },
        streams={methods.PRODUCE: produce.handle, methods.FETCH: fetch.handle},
    )


def replication_service(*, replicate: ReplicateService, hashes: ReplicaHashesService) -> Service:
    """What other brokers call, and who compares replicas."""
    return Service(
        name=methods.REPLICATION_SERVICE,
        unary={methods.HASH_REPLICAS: hashes.hash_replicas},
        streams={methods.REPLICATE: replicate.handle},
    )
