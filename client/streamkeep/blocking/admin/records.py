"""Offsets and records of partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamkeep.admin.outcomes import Outcomes
from streamkeep.blocking.admin.base import AdminBase
from streamkeep.offsets import OffsetQuestion
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_proto.v1.broker_pb2 import DeletedRecords, DescribeProducersResponse, ListedOffset


class RecordsAdmin(AdminBase):
    """See `Admin`."""

    def list_offsets(
        self, questions: Mapping[AnyTopicPartition, OffsetQuestion]
    ) -> Outcomes[TopicPartition, ListedOffset]:
        """For each partition the offset asked for, or why there is no answer; -1 = there is no such
        record."""
        return self._call(self._on_loop.list_offsets(questions))

    def list_topic_offsets(
        self, topics: Iterable[str], question: OffsetQuestion
    ) -> Outcomes[TopicPartition, ListedOffset]:
        """As `list_offsets`, for every partition of these topics: `AtTime(...)` is where all of them stood
        then. Raises UnknownTopicError."""
        return self._call(self._on_loop.list_topic_offsets(topics, question))

    def delete_records(
        self, before_offsets: Mapping[AnyTopicPartition, int]
    ) -> Outcomes[TopicPartition, DeletedRecords]:
        """Move each partition's log start up to an offset; -1 stands for the high watermark of the moment."""
        return self._call(self._on_loop.delete_records(before_offsets))

    def describe_producers(self, topic: str, partition: int) -> DescribeProducersResponse:
        """Who has written to a partition, latest first, with the sequence and offset of their last record.

        Raises UnknownTopicError or UnknownPartitionError.
        """
        return self._call(self._on_loop.describe_producers(topic, partition))
