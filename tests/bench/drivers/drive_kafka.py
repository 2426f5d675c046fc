"""Drives Kafka through confluent-kafka, with the settings that serve it best.

Runs in the peer's own environment. Reads one JSON command a line on standard input and answers
one JSON result a line.
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

KEYS = [b"key-%05d" % number for number in range(1000)]


def produce(bootstrap, topic, size, records, mode):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "batch.size": 262144,
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


def main():
    bootstrap = sys.argv[1]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for line in sys.stdin:
        command = json.loads(line)
        operation, topic = command["operation"], command["topic"]
        seconds = 0.0
        if operation == "create":
            for future in admin.create_topics([NewTopic(topic, command["partitions"], 1)]).values():
                future.result()
            time.sleep(0.5)  # until the node has made the partitions' logs
        elif operation == "delete":
            for future in admin.delete_topics([topic]).values():
                future.result()
        elif operation == "produce":
            seconds = produce(bootstrap, topic, command["size"], command["records"], command["mode"])
        else:
            seconds = consume(bootstrap, topic, command["partitions"], command["records"])
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
