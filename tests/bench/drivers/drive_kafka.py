"""Drives Kafka through confluent-kafka, with the settings that serve it best.

Runs in the peer's own environment. Reads one JSON command a line on standard input and answers
one JSON result a line.
"""

import json
import sys
import threading
import time

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SYNC_RECORDS = 1_500
PACED_RECORDS = 5_000
PACE_S = 0.001
KEYS = [b"key-%05d" % number for number in range(1000)]


def produce(bootstrap, topic, *, size, records, mode, batch_bytes):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "batch.size": batch_bytes,
            "queue.buffering.max.messages": 500000,
        }
    )
    acknowledged = 0

    def on_delivery(error, _message):
        nonlocal acknowledged
        assert error is None, error
        acknowledged += 1

    value = b"x" * size
    began = time.perf_counter()
    for number in range(records):
        key = KEYS[number % 1000] if mode == "keyed" else None
        while True:
            try:
                producer.produce(topic, value, key=key, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 500 == 0:
            producer.poll(0)
    producer.flush(120)
    seconds = time.perf_counter() - began
    assert acknowledged == records, (acknowledged, records)
    return seconds


def consume(bootstrap, topic, partitions, records):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-" + topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.max.bytes": 52428800,
            "max.partition.fetch.bytes": 8388608,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    got, began = 0, None
    while got < records:
        messages = consumer.consume(5000, 1)
        if messages and began is None:
            began = time.perf_counter()
        got += sum(1 for message in messages if not message.error() and message.value() is not None)
    seconds = time.perf_counter() - began
    consumer.close()
    return seconds


def percentiles(latencies_ms):
    """Of what is left without the first tenth, which warms up."""
    counted = sorted(latencies_ms[len(latencies_ms) // 10 :])
    return {"p50": counted[len(counted) // 2], "p99": counted[int(len(counted) * 0.99)]}


def sync(bootstrap, topic, size):
    """One record, its acknowledgement, the next."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
    value, latencies = b"x" * size, []
    for _ in range(SYNC_RECORDS):
        began = time.perf_counter()
        producer.produce(topic, value, partition=0)
        producer.flush(10)
        latencies.append((time.perf_counter() - began) * 1e3)
    return percentiles(latencies)


def paced(bootstrap, topic, size):
    """From the producer to a consumer in the same process, at 1,000 records a second."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "paced", "fetch.wait.max.ms": 500})
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    latencies, flowing = [], threading.Event()

    def read():
        while len(latencies) < PACED_RECORDS:
            message = consumer.poll(0.2)
            if message and not message.error():
                if message.value().startswith(b"warm"):
                    flowing.set()
                else:
                    latencies.append((time.perf_counter_ns() - int(message.value()[:20])) / 1e6)

    reader = threading.Thread(target=read)
    reader.start()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
    while not flowing.wait(0.1):
        producer.produce(topic, b"warm", partition=0)
        producer.flush(10)
    for _ in range(PACED_RECORDS):
        producer.produce(topic, (b"%020d" % time.perf_counter_ns()).ljust(size), partition=0)
        producer.poll(0)
        time.sleep(PACE_S)
    producer.flush(10)
    reader.join(30)
    consumer.close()
    return percentiles(latencies)


def main():
    bootstrap = sys.argv[1]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for line in sys.stdin:
        command = json.loads(line)
        operation, topic = command["operation"], command["topic"]
        result = {}
        if operation == "create":
            new = NewTopic(topic, command["partitions"], command["replicas"])
            for future in admin.create_topics([new]).values():
                future.result()
            time.sleep(1)  # until the nodes have made the partitions' logs
        elif operation == "delete":
            for future in admin.delete_topics([topic]).values():
                future.result()
        elif operation == "produce":
            options = {name: command[name] for name in ("size", "records", "mode", "batch_bytes")}
            seconds = produce(bootstrap, topic, **options)
            result = {"seconds": seconds}
        elif operation == "consume":
            result = {"seconds": consume(bootstrap, topic, command["partitions"], command["records"])}
        elif operation == "sync":
            result = sync(bootstrap, topic, command["size"])
        else:
            result = paced(bootstrap, topic, command["size"])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
