"""Bounds of what a cluster may hold and of what one request may ask for."""

from __future__ import annotations

MAX_PARTITIONS_PER_CLUSTER = 200_000

MAX_NEW_PARTITIONS_PER_REQUEST = 20_000
"""One request is one entry of the log, which must stay well below the largest message."""

MAX_REPLICATED_PER_REQUEST = 1_000
"""Partitions of which one request of a broker may speak: proposals of in-sync sets, reports on replicas."""

MAX_PLACEMENTS_PER_ENTRY = 10_000
"""Replicas that get another log directory in one entry of the log."""

MAX_ITEMS_PER_REQUEST = 1_000
"""Topics that one request may name."""

MAX_BROKERS = 1_000

MAX_DIRECTORIES_PER_BROKER = 64

MAX_TEXT = 255
"""Characters of an address, a rack or a boot id."""

PRODUCER_ID_BLOCK = 1_000
