"""Hard limits, units last in their names. What comes from disk or wire is held against them before use.

A limit is part of the contract: lowering one may refuse data that an older version accepted.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

ID_BYTES = 16
"""Of topics, log directories and incarnations of brokers: random, never the same twice."""

# --- record batches ---

MAX_BATCH_BYTES = 8 * MIB
"""Largest frame: header and records as stored. A topic's max_batch_bytes can only be lower."""

MAX_RECORDS_BYTES = 64 * MIB
"""Largest serialized Records of one batch after decompression."""

MAX_RECORDS_PER_BATCH = 131_072

MAX_HEADERS_PER_RECORD = 1_024

MAX_HEADERS_PER_BATCH = 131_072

MAX_TIMESTAMP_MS = 2**53
"""Greatest timestamp of a record, 285,000 years after 1970: numbers of any language hold it exactly."""

MAX_SEQUENCE = 2**31 - 1
"""The sequence after this one is 0."""

# --- messages on the wire ---

MAX_MESSAGE_BYTES = 16 * MIB
"""Largest protobuf message that a client or server takes."""

# --- topics ---

MAX_TOPIC_NAME = 249
"""Characters, as in Kafka."""

MAX_PARTITIONS_PER_TOPIC = 10_000

MAX_REPLICATION_FACTOR = 15

MAX_MOVES_PER_REQUEST = 1_000
"""Partitions that one request moves: each takes time to decide, and all are one entry of the metadata log."""

MAX_SETTING_TEXT = 4_096
"""Characters of one setting's value."""

# --- segments ---

MAX_SEGMENT_BYTES = GIB
"""A segment must parse as one protobuf message, whose lengths are 31 bits in most languages."""
