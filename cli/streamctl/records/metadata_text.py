"""What a coordinator's files hold, as a line of text or as JSON.

Records are in protobuf's own forms: its text format on one line, its JSON with the names of the .proto.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from google.protobuf.json_format import MessageToDict
from google.protobuf.text_format import MessageToString

from streamctl.records.batch_text import moment
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_coordinator.storage.inspect import Item, Kind
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


def item_line(item: Item) -> str:
    """Where it stands and what it is."""
    return f"{item.file} byte {item.byte}: {_TEXTS[item.kind](item)}"


def item_fields(item: Item, *, with_records: bool) -> dict[str, object]:
    """All of it, as JSON has it: of each kind of records how many, and the records as `content` if wanted."""
    fields: dict[str, object] = {"file": item.file, "byte": item.byte, "size": item.size, "kind": item.kind}
    if item.identity is not None:
        return fields | _identity_fields(item.identity)
    if item.problem:
        return fields | {"problem": item.problem}
    fields |= {"index": item.index, "term": item.term}
    if item.kind in (Kind.START, Kind.MARK):
        fields["generation"] = item.generation
    if item.hard_state is not None:
        fields["hard_state"] = item.hard_state._asdict()
    if item.entry is not None:
        fields["time_ms"] = item.entry.time_ms
    if item.entry is not None or item.snapshot is not None:
        fields["records"] = kinds(_records(item))
        if with_records:
            fields["content"] = [_record_fields(record) for record in _records(item)]
    return fields


def record_lines(item: Item) -> Iterator[str]:
    """A line for each record."""
    for record in _records(item):
        yield MessageToString(record, as_one_line=True, as_utf8=True)


def kinds(records: Sequence[MetadataRecord]) -> dict[str, int]:
    """How many there are of each kind, in the order in which they first come."""
    return dict(Counter(record.WhichOneof("record") or "unknown" for record in records))


def _records(item: Item) -> Sequence[MetadataRecord]:
    holder = item.entry or item.snapshot
    return holder.records if holder is not None else ()


def _record_fields(record: MetadataRecord) -> object:
    return MessageToDict(record, preserving_proto_field_name=True)


def _identity_fields(identity: Identity) -> dict[str, object]:
    return {
        "coordinator_id": identity.coordinator_id,
        "directory_id": identity.directory_id.hex() or None,
        "cluster_id": identity.cluster_id or None,
        "cluster_epoch": identity.cluster_epoch,
        "format": identity.format,
    }


def _identity_text(item: Item) -> str:
    identity = item.identity
    assert identity is not None, "an identity has one"
    directory = f"directory {identity.directory_id.hex()}" if identity.directory_id else "format 1"
    if not identity.cluster_id:
        return f"coordinator {identity.coordinator_id}, {directory}, of no cluster yet"
    cluster = f"cluster {identity.cluster_id} in epoch {identity.cluster_epoch}"
    return f"coordinator {identity.coordinator_id}, {directory}, of {cluster}"


def _start_text(item: Item) -> str:
    return f"follows entry {item.index}, generation {item.generation}; {_state_text(item)}"


def _mark_text(item: Item) -> str:
    return f"entry {item.index} of term {item.term} was durable; {_state_text(item)}"


def _state_text(item: Item) -> str:
    state = item.hard_state
    assert state is not None, "it has a hard state"
    vote = f"vote for {state.vote}" if state.vote else "no vote"
    return f"term {state.term}, {vote}, committed up to {state.committed_index}"


def _seal_text(item: Item) -> str:
    return f"everything up to entry {item.index} is durable"


def _entry_text(item: Item) -> str:
    assert item.entry is not None, "an entry has one"
    when = moment(item.entry.time_ms)
    return f"entry {item.index} of term {item.term}, proposed {when}: {_kinds_text(item)}"


def _snapshot_text(item: Item) -> str:
    return f"snapshot up to entry {item.index} of term {item.term}: {_kinds_text(item)}"


def _torn_text(item: Item) -> str:
    return f"an unfinished write of {item.size} bytes, of which nobody was told: {item.problem}"


def _damage_text(item: Item) -> str:
    return f"{item.size} bytes are damaged: {item.problem}"


def _kinds_text(item: Item) -> str:
    counted = kinds(_records(item))
    return ", ".join(kind if count == 1 else f"{kind} x {count}" for kind, count in counted.items())


_TEXTS: dict[Kind, Callable[[Item], str]] = {
    Kind.IDENTITY: _identity_text,
    Kind.START: _start_text,
    Kind.HARD_STATE: _state_text,
    Kind.SEAL: _seal_text,
    Kind.MARK: _mark_text,
    Kind.ENTRY: _entry_text,
    Kind.SNAPSHOT: _snapshot_text,
    Kind.TORN: _torn_text,
    Kind.DAMAGE: _damage_text,
}
