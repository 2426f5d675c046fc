"""The Streamkeep SDK for programs without asyncio: the same names, the same arguments, no `await`.

    from streamkeep.blocking import Consumer, Producer

    with Producer("localhost:7101") as producer:
        delivery = producer.send("flights", b"...", key=b"UA")
        metadata = delivery.result()

    with Consumer("localhost:7101") as consumer:
        consumer.assign(consumer.partitions_for("flights"), start="earliest")
        for record in consumer: ...

All of it works on one event loop in a daemon thread of its own, which starts at first use. `send` leaves a
record to it and returns; reading crosses over once a batch.

Ctrl-C ends any wait at once. Records that `send` has returned for will be delivered all the same: by leaving
the `with` block, by `flush` or `close`, or at the end of the interpreter, which waits a second for them and
complains (ResourceWarning) of what was not closed. After a fork the child cannot use this package if its
parent has: everything raises RuntimeError there, so start processes with the 'spawn' method.

In a coroutine a call stops that program's own event loop until it returns: use `streamkeep` itself there.
"""

from streamkeep import errors
from streamkeep.blocking.admin.admin import Admin
from streamkeep.blocking.client import Client
from streamkeep.blocking.consumer import Consumer
from streamkeep.blocking.delivery import Deliveries, Delivery
from streamkeep.blocking.producer import Producer
from streamkeep.consumer.interceptors import ConsumerInterceptor
from streamkeep.consumer.metrics import ConsumerMetrics
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.errors import StreamkeepError
from streamkeep.offsets import AtTime
from streamkeep.producer.delivery import RecordMetadata
from streamkeep.producer.interceptors import ProducerInterceptor
from streamkeep.producer.metrics import ProducerMetrics
from streamkeep.producer.record import ProducerRecord
from streamkeep.topic_partition import TopicPartition

__all__ = [
    "Admin",
    "AtTime",
    "Client",
    "ConsumedBatch",
    "Consumer",
    "ConsumerInterceptor",
    "ConsumerMetrics",
    "Deliveries",
    "Delivery",
    "Producer",
    "ProducerInterceptor",
    "ProducerMetrics",
    "ProducerRecord",
    "Record",
    "RecordMetadata",
    "StreamkeepError",
    "TopicPartition",
    "errors",
]
