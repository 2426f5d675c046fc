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
    topic's replicas put on a broker. Records are applied only if somebody looks: the last of a command never
    are, and those of a broker's fencing can be many.
    """

    def __init__(self, image: ClusterImage) -> None:
        self.new_partitions = 0
        self._image = image
        self._records: list[MetadataRecord] = []
        self._applied = 0

    @property
    def image(self) -> ClusterImage:
        if self._applied < len(self._records):
            new = self._records[self._applied :]
            self._image, _ = apply(self._image, new, self._image.index + 1)
            self._applied = len(self._records)
        return self._image

    def write(self, *records: MetadataRecord) -> None:
        """Add records."""
        self._records.extend(records)
        self.new_partitions += sum(record.HasField("partition") for record in records)

    def decide(self, answer: R, *, validate_only: bool = False) -> Decision[R]:
        """The records written, or none of them if it was only to be validated."""
        return Decision(() if validate_only else tuple(self._records), answer)
