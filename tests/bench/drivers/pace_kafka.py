"""Writes to Kafka at a steady pace through confluent-kafka, and tells how long writes stood still.

Runs in the peer's own environment: `pace_kafka.py BOOTSTRAP TOPIC`. Reads one JSON command a line on
standard input and answers one JSON result a line. `leader` asks who leads once all replicas are in sync;
`strike` marks now; `stall` waits until whatever was sent up to a second after that is acknowledged, and
answers the longest time between two acknowledgements since, in seconds. The client settings are those that
recover soonest.
"""

import json
import sys
import threading
import time
from itertools import pairwise

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

WRITE_EVERY_S = 0.005
AFTER_S = 1.0
IN_SYNC_WITHIN_S = 120
REPLICAS = 3


class Writer:
    def __init__(self, bootstrap, topic):
        self.topic = topic
        self.acknowledged = []  # (sent, acknowledged), by time of acknowledgement
        self.struck = 0.0
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "log.connection.close": False,
                "linger.ms": 0,
                "enable.idempotence": True,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 50,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
                "delivery.timeout.ms": 120000,
                "topic.metadata.refresh.fast.interval.ms": 50,
            }
        )
        threading.Thread(target=self.write, daemon=True).start()

    def write(self):
        while True:
            sent = time.perf_counter()

            def on_delivery(error, _message, sent=sent):
                if error is None:
                    self.acknowledged.append((sent, time.perf_counter()))

            self.producer.produce(self.topic, b"x", on_delivery=on_delivery)
            self.producer.poll(WRITE_EVERY_S)

    def wait_for(self, after, within_s):
        """Until something is acknowledged that was sent later than that; False if it takes too long."""
        deadline = time.perf_counter() + within_s
        while not any(sent > after for sent, _ in self.acknowledged[-20:]):
            if time.perf_counter() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stall(self, within_s):
        """None if writes did not go on in that time."""
        if not self.wait_for(self.struck + AFTER_S, within_s):
            return None
        times = [acknowledged for _, acknowledged in self.acknowledged]
        return max(after - before for before, after in pairwise(times) if after > self.struck)


def leader(admin, topic):
    deadline = time.perf_counter() + IN_SYNC_WITHIN_S
    while True:
        partition = admin.list_topics(topic, timeout=10).topics[topic].partitions[0]
        if len(partition.isrs) == REPLICAS and partition.leader > 0:
            return partition.leader
        if time.perf_counter() > deadline:
            raise SystemExit(f"not in sync within {IN_SYNC_WITHIN_S} s: {partition.isrs}")
        time.sleep(0.2)


def main():
    bootstrap, topic = sys.argv[1:]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, REPLICAS)]).values():
        future.result()
    time.sleep(1)
    writer = Writer(bootstrap, topic)
    for line in sys.stdin:
        command = json.loads(line)
        answer = None
        if command["operation"] == "leader":
            answer = leader(admin, topic)
            assert writer.wait_for(time.perf_counter(), IN_SYNC_WITHIN_S), "nothing is acknowledged"
        elif command["operation"] == "strike":
            writer.struck = time.perf_counter()
        else:
            answer = writer.stall(command["within_s"])
        print(json.dumps({"answer": answer}), flush=True)


if __name__ == "__main__":
    main()
