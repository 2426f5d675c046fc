"""What a command leads to, and the draft on which it is worked out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from streamkeep_common.image import ClusterImage, apply
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Decision(Generic[R_co]):
    """Records to commit as one entry (none: nothing changes), and the answer to give once they are."""

    records: tuple[MetadataRecord, ...]
    answer: R_co


Command: TypeAlias = Callable[[ClusterImage], Decision[R]]


class Draft:
    """The image as it would be after the records written so far.

    Items of one request see each other through it: two topics of one name, or the load that the first
    topic's replicas put on a broker.
    """

    def __init__(self, image: ClusterImage) -> None:
        self.image = image
        self.new_partitions = 0
        self._records: list[MetadataRecord] = []

    def write(self, *records: MetadataRecord) -> None:
        """Add records that take effect together."""
        if records:
            self.image, _ = apply(self.image, records, self.image.index + 1)
            self._records.extend(records)
            self.new_partitions += sum(record.HasField("partition") for record in records)

    def decide(self, answer: R, *, validate_only: bool = False) -> Decision[R]:
        """The records written, or none of them if it was only to be validated."""
        return Decision(() if validate_only else tuple(self._records), answer)
