"""The broker's gRPC service, method by method."""

from __future__ import annotations

from streamkeep_broker.services.fetch import FetchService
from streamkeep_broker.services.log_dirs import LogDirsService
from streamkeep_broker.services.offsets import OffsetsService
from streamkeep_broker.services.produce import ProduceService
from streamkeep_broker.services.producers import ProducersService
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
    """What the listener serves."""
    return Service(
        name=methods.BROKER_SERVICE,
        unary={
            methods.INIT_PRODUCER: producers.init_producer,
            methods.LIST_OFFSETS: offsets.list_offsets,
            methods.DELETE_RECORDS: offsets.delete_records,
            methods.DESCRIBE_LOG_DIRS: log_dirs.describe,
        },
        streams={methods.PRODUCE: produce.handle, methods.FETCH: fetch.handle},
    )
