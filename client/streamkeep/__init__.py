"""The Streamkeep SDK: write, read and manage event streams.

    async with Producer("localhost:7101") as producer:
        delivery = await producer.send("flights", b"...", key=b"UA")
        metadata = await delivery

    async with Consumer("localhost:7101") as consumer:
        await consumer.assign(await consumer.partitions_for("flights"), start="earliest")
        async for record in consumer: ...

Errors are in `streamkeep.errors`, one class a code; `streamkeep.serializers` is for keys and values of other
types than bytes.
"""

from streamkeep import errors
from streamkeep.admin.admin import Admin
from streamkeep.client import Client
from streamkeep.consumer.consumer import Consumer
from streamkeep.consumer.interceptors import ConsumerInterceptor
from streamkeep.consumer.metrics import ConsumerMetrics
from streamkeep.consumer.records import ConsumedBatch, Record
from streamkeep.errors import StreamkeepError
from streamkeep.offsets import AtTime
from streamkeep.producer.delivery import Deliveries, Delivery, RecordMetadata
from streamkeep.producer.interceptors import ProducerInterceptor
from streamkeep.producer.metrics import ProducerMetrics
from streamkeep.producer.producer import Producer
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
