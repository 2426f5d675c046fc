"""What `-o json` and `-o yaml` write: a promise to scripts. Fields may be added, never renamed or taken away.

The reference is made from it, and a test holds every command to it. `text`, `number` and `flag` are what
JSON has; `?` behind one: or null. One item stands for a whole list; a key in `<>` for any number of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Shape: TypeAlias = "str | list[Shape] | Mapping[str, Shape]"

_IDS: Shape = ["number"]
_TOPIC_OUTCOME: Shape = {
    "name": "text",
    "id": "text?",
    "partitions": "number",
    "replication_factor": "number",
    "min_insync_replicas": "number",
}
_MOVE: Shape = {
    "topic": "text",
    "partition": "number",
    "from": _IDS,
    "to": _IDS,
    "copies": _IDS,
    "bytes": "number?",
    "error": "text?",
}
_PARTITION: dict[str, Shape] = {
    "leader": "number?",
    "leader_epoch": "number",
    "replicas": _IDS,
    "isr": _IDS,
    "elr": _IDS,
    "state": "text",
}
_MEMBER: dict[str, Shape] = {
    "id": "number",
    "address": "text",
    "state": "text",
    "last_index": "number?",
    "lag": "number?",
    "directory_id": "text",
    "trouble": "text?",
}
_QUORUM: Shape = {
    "active": "number?",
    "term": "number",
    "voters": [_MEMBER],
    "learners": [_MEMBER],
    "committed_index": "number",
    "cluster_id": "text",
    "cluster_epoch": "number",
    "stale": "flag",
}
_BROKER: dict[str, Shape] = {
    "id": "number",
    "address": "text",
    "state": "text",
    "draining": "flag",
    "rack": "text?",
    "epoch": "number",
    "replicas": "number",
    "leaders": "number",
}
_LOG_DIR: dict[str, Shape] = {
    "path": "text",
    "id": "text",
    "state": "text",
    "reason": "text?",
    "replicas": "number",
    "used_bytes": "number",
    "free_bytes": "number",
    "total_bytes": "number",
}
_PROCESS: Shape = {
    "role": "text",
    "id": "number",
    "pid": "number?",
    "address": "text",
    "data_dir": "text",
    "state": "text",
}
_CONTEXT: Shape = {
    "name": "text",
    "bootstrap": "text",
    "danger": "flag",
    "current": "flag",
    "previous": "flag",
}
_SETTING: Shape = {
    "name": "text",
    "scope": "text",
    "default": "text?",
    "takes": "text",
    "flag": "text?",
    "environment": "text?",
    "documentation": "text",
}
_PERCENTILES: Shape = dict.fromkeys(("p50", "p95", "p99", "p999", "max"), "number?")


def _bench(*timed: str) -> Shape:
    return {
        "topic": "text",
        "partitions": "number",
        "replicas": "number",
        "min_insync_replicas": "number",
        "durability": "text",
        "records": "number",
        "bytes": "number",
        "seconds": "number",
        "records_per_s": "number",
        "mib_per_s": "number",
        "times_ms": dict.fromkeys(timed, _PERCENTILES),
    }


SHAPES: Mapping[str, Shape] = {
    "topic create": _TOPIC_OUTCOME,
    "topic add-partitions": _TOPIC_OUTCOME,
    "topic delete": [_TOPIC_OUTCOME],
    "topic list": [{"name": "text", "id": "text", "partitions": "number", "replication_factor": "number"}],
    "topic describe": {
        "name": "text",
        "id": "text",
        "settings": {"<setting>": "text"},
        "settings_set": ["text"],
        "partitions": [
            {
                "partition": "number",
                **_PARTITION,
                "log_start_offset": "number?",
                "high_watermark": "number?",
                "adding_replicas": _IDS,
                "removing_replicas": _IDS,
                "last_members": _IDS,
            }
        ],
    },
    "topic alter": _TOPIC_OUTCOME,
    "partition list": [{"topic": "text", "partition": "number", **_PARTITION}],
    "partition reassign": [_MOVE],
    "partition cancel": [_MOVE],
    "partition reassignments": [
        {
            "topic": "text",
            "partition": "number",
            "leader": "number?",
            "target": _IDS,
            "adding": _IDS,
            "removing": _IDS,
            "isr": _IDS,
            "copied_bytes": "number",
            "total_bytes": "number",
        }
    ],
    "partition elect": [
        {
            "topic": "text",
            "partition": "number",
            "from_leader": "number?",
            "to_leader": "number?",
            "error": "text?",
        }
    ],
    "partition verify": [
        {
            "topic": "text",
            "partition": "number",
            "from_offset": "number",
            "to_offset": "number",
            "identical": "flag",
            "differing": _IDS,
            "wrong_before": _IDS,
            "replicas": [{"broker": "number", "sha256": "text", "size_bytes": "number"}],
        }
    ],
    "offset list": [
        {
            "topic": "text",
            "partition": "number",
            "earliest": "number?",
            "latest": "number?",
            "at_offset": "number?",
            "at_timestamp_ms": "number?",
            "error": "text?",
        }
    ],
    "records count": [
        {
            "topic": "text",
            "partition": "number",
            "from_offset": "number",
            "to_offset": "number",
            "records": "number",
        }
    ],
    "records delete": [
        {
            "topic": "text",
            "partition": "number",
            "from_offset": "number",
            "before_offset": "number",
            "records": "number",
        }
    ],
    "config list": [_SETTING],
    "config describe": [_SETTING],
    "config show": [
        {
            "name": "text",
            "value": "text?",
            "source": "text",
            "origin": "text?",
            "default": "text?",
            "read_only": "flag",
        }
    ],
    "broker list": [_BROKER],
    "broker describe": {**_BROKER, "log_dirs": [_LOG_DIR]},
    "broker log-dirs": [{"broker": "number", **_LOG_DIR}],
    "broker drain": [_MOVE],
    "broker decommission": [_MOVE],
    "quorum status": _QUORUM,
    "quorum add": _QUORUM,
    "quorum remove": _QUORUM,
    "quorum transfer": _QUORUM,
    "cluster describe": {
        "cluster_id": "text",
        "cluster_epoch": "number",
        "metadata_index": "number",
        "term": "number",
        "stale": "flag",
        "feature_level": "number",
        "supported_feature_level": "number",
        "topics": "number",
        "partitions": "number",
        "offline_partitions": "number",
        "coordinators": [{**_MEMBER, "voter": "flag", "active": "flag"}],
        "brokers": [{"id": "number", "epoch": "number", "address": "text", "rack": "text?", "state": "text"}],
    },
    "cluster health": {
        "healthy": "flag",
        "problems": [{"kind": "text", "name": "text", "problem": "text"}],
    },
    "cluster features": {
        "level": "number",
        "supported_level": "number",
        "processes": [
            {
                "role": "text",
                "id": "number",
                "address": "text",
                "min_level": "number",
                "max_level": "number",
            }
        ],
        "levels": [{"level": "number", "documentation": "text"}],
    },
    "cluster init": {"cluster_id": "text", "voters": [{"id": "number", "address": "text"}]},
    "cluster upgrade": {"previous_level": "number", "level": "number"},
    "context list": [_CONTEXT],
    "context add": _CONTEXT,
    "context use": _CONTEXT,
    "context remove": _CONTEXT,
    "context show": {
        "name": "text?",
        "bootstrap": "text",
        "danger": "flag",
        "said_by": "text",
        "file": "text",
    },
    "bench produce": _bench("acknowledged"),
    "bench consume": _bench("batch"),
    "bench latency": _bench("acknowledged", "read"),
    "cheat": [{"page": "text", "title": "text", "examples": [{"does": "text", "command": "text"}]}],
    "version": {"<part>": "text"},
    "produce": {"topic": "text?", "acknowledged": "number", "skipped": "number"},
    "log verify": [{"path": "text", "position": "number", "offset": "number?", "problem": "text"}],
    "dev": [_PROCESS],
    "dev start": [_PROCESS],
    "dev stop": [_PROCESS],
    "dev status": [_PROCESS],
    "dev start-process": [_PROCESS],
    "dev stop-process": [_PROCESS],
}

LINES = {
    "consume": "One record a line; in YAML one item each. A key or value that is no UTF-8 stands in base64"
    " under `key_base64` or `value_base64`.",
    "log dump": "One batch a line; in YAML one item each. With --records its records are under `content`.",
    "coordinator log dump": "One thing a line, of the kind that `kind` says; in YAML one item each.",
}
"""Commands that write while they read, so that what they write has no end and no brackets."""

UNPROMISED = {
    "demo": "What it measured.",
    "coordinator recover": "What is given up and what is left.",
    "broker undrain": "Nothing.",
}
"""Commands for people, whose data may change."""
