"""How partitions are written on the command line, and how they stand, in words.

`t:0` is one partition, `t:0=1,2,3` where its replicas shall be; a broker may be followed by `@` and one of
its log directories. Kafka's plan files are read as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streamctl.invocation import MAX_ID

if TYPE_CHECKING:
    from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo

ANY_DIRECTORY = "any"
"""As in Kafka's plan files."""


class Target(NamedTuple):
    """Broker ids, the preferred leader first, and for each the log directory as it was named ("" = any)."""

    replicas: tuple[int, ...]
    directories: tuple[str, ...]


def parse_partition(text: str) -> tuple[str, int]:
    """`TOPIC:NUMBER`. Raises BadParameter."""
    topic, colon, number = text.rpartition(":")
    if not colon or not topic or not _is_number(number):
        raise click.BadParameter(f"'{text}' is not TOPIC:PARTITION, as in flights:0")
    return topic, int(number)


def parse_target(text: str) -> tuple[tuple[str, int], Target]:
    """`TOPIC:NUMBER=BROKER[@DIRECTORY],...`. Raises BadParameter."""
    name, equals, brokers = text.partition("=")
    if not equals:
        raise click.BadParameter(f"'{text}' is not TOPIC:PARTITION=BROKER,..., as in flights:0=1,2,3")
    named = [each.partition("@") for each in brokers.split(",")]
    if not all(_is_number(broker) for broker, _, _ in named):
        raise click.BadParameter(f"'{brokers}' is not a list of broker ids, as in 1,2,3")
    replicas = tuple(int(broker) for broker, _, _ in named)
    return parse_partition(name), Target(replicas, _directories(directory for _, _, directory in named))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= MAX_ID


def by_partition(targets: Iterable[tuple[tuple[str, int], Target]]) -> dict[tuple[str, int], Target]:
    """Each partition's only target. Raises UsageError for one that is named twice: nobody knows which was
    meant."""
    named: dict[tuple[str, int], Target] = {}
    for (topic, partition), target in targets:
        if (topic, partition) in named:
            raise click.UsageError(f"{topic}:{partition} is named twice; say once where it shall be")
        named[topic, partition] = target
    return named


def read_plan(path: Path) -> Sequence[tuple[tuple[str, int], Target]]:
    """Kafka's format: {"partitions": [{"topic": "t", "partition": 0, "replicas": [1, 2, 3]}, ...]}, where
    "log_dirs" may name a directory for each replica, or "any". Raises UsageError.
    """
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        return [_planned(item) for item in plan["partitions"]]
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(
            f"{path} is not a plan: {type(error).__name__} {error}; it looks like "
            '{"partitions": [{"topic": "t", "partition": 0, "replicas": [1, 2, 3]}]}'
        ) from None


def _planned(item: Mapping[str, Any]) -> tuple[tuple[str, int], Target]:
    replicas = tuple(map(_number, item["replicas"]))
    directories = _directories(map(_text, item.get("log_dirs") or [ANY_DIRECTORY] * len(replicas)))
    if len(directories) != len(replicas):
        raise ValueError(f"{len(directories)} log_dirs for {len(replicas)} replicas")
    return (_text(item["topic"]), _number(item["partition"])), Target(replicas, directories)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise ValueError(f"{json.dumps(value)} is not a number of a partition or broker")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{json.dumps(value)} is not a name")
    return value


def _directories(named: Iterable[str]) -> tuple[str, ...]:
    return tuple("" if each == ANY_DIRECTORY else each for each in named)


def state_words(partition: PartitionInfo, required_isr: int) -> str:
    """How a partition stands, worst first: `ok`, or what ails it; then where it moves to."""
    return "; ".join([*_troubles(partition, required_isr), *_moves(partition)]) or "ok"


def _troubles(partition: PartitionInfo, required_isr: int) -> Iterator[str]:
    if not partition.leader:
        yield f"no leader{_awaited(partition)}"
    elif len(partition.isr) < min(required_isr, settled_replicas(partition)):
        yield "under min ISR"
    elif len(partition.isr) < settled_replicas(partition):
        yield "under-replicated"


def _awaited(partition: PartitionInfo) -> str:
    """Whose return gives it a leader: one that has everything, or else all that were in sync last."""
    brokers = partition.elr or partition.last_members
    return f", waits for {brokers_text(brokers)}" if brokers else ""


def _moves(partition: PartitionInfo) -> Iterator[str]:
    if partition.adding_replicas:
        yield f"adds {id_list(partition.adding_replicas)}"
    if partition.removing_replicas:
        yield f"removes {id_list(partition.removing_replicas)}"


def settled_replicas(partition: PartitionInfo) -> int:
    """Replicas without those that are only being added."""
    return len(partition.replicas) - len(partition.adding_replicas)


def brokers_text(ids: Sequence[int]) -> str:
    """`broker 3`, `brokers 1, 2`."""
    return f"{'broker' if len(ids) == 1 else 'brokers'} {', '.join(map(str, ids))}"


def id_list(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def size_text(size_bytes: float) -> str:
    """1536 as `1.5 KiB`."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
