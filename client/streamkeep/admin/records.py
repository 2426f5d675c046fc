"""What partitions hold: offsets by position or time, and old records deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamkeep.admin.description import DescribingAdmin
from streamkeep.admin.outcomes import Outcomes
from streamkeep.offsets import OffsetQuestion, delete_records, describe_producers, list_offsets
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition, topic_partition_of
from streamkeep_common.errors import StreamkeepError, raise_if_error
from streamkeep_proto.v1.broker_pb2 import DeletedRecords, DescribeProducersResponse, ListedOffset

HIGH_WATERMARK = -1


class RecordsAdmin(DescribingAdmin):
    """See `Admin`."""

    # --- records ---

    async def list_offsets(
        self, questions: Mapping[AnyTopicPartition, OffsetQuestion]
    ) -> Outcomes[TopicPartition, ListedOffset]:
        """For each partition the offset asked for, or why there is no answer; -1 = there is no such record.

        After the election of a leader "latest" is OffsetNotAvailableError until it is known how far records
        were readable before (KIP-207): all the time while fewer replicas than `min_insync_replicas` are in
        sync.
        """
        named = {topic_partition_of(each): question for each, question in questions.items()}
        return Outcomes(await list_offsets(self._client, named, timeout_s=self._timeout_s))

    async def list_topic_offsets(
        self, topics: Iterable[str], question: OffsetQuestion
    ) -> Outcomes[TopicPartition, ListedOffset]:
        """As `list_offsets`, for every partition of these topics: `AtTime(...)` is where all of them stood
        then. Raises UnknownTopicError."""
        names = list(topics)
        described = await self.describe_topics(names) if names else []
        for topic in described:
            raise_if_error(topic.error)
        return await self.list_offsets(
            {
                TopicPartition(topic.name, each.partition): question
                for topic in described
                for each in topic.partitions
            }
        )

    async def delete_records(
        self, before_offsets: Mapping[AnyTopicPartition, int]
    ) -> Outcomes[TopicPartition, DeletedRecords]:
        """Move each partition's log start up to an offset; -1 stands for the high watermark of the moment.

        The records before it are gone for good, whoever leads next: the outcome is there when every in-sync
        replica has the new log start. TimedOutError if one does not have it in time; the leader has.
        """
        named = {topic_partition_of(each): offset for each, offset in before_offsets.items()}
        outcomes: dict[TopicPartition, DeletedRecords | StreamkeepError] = dict.fromkeys(
            named, DeletedRecords()
        )
        wanted = await self._with_watermarks(named, outcomes)
        outcomes |= await delete_records(self._client, wanted, timeout_s=self._timeout_s)
        return Outcomes(outcomes)

    async def describe_producers(self, topic: str, partition: int) -> DescribeProducersResponse:
        """Who has written to a partition, latest first, with the sequence and offset of their last record: as
        long as the partition remembers them (the brokers' `producer_expiration_ms`), the latest 10,000.

        Raises UnknownTopicError or UnknownPartitionError.
        """
        topic_partition = TopicPartition(topic, partition)
        told = await describe_producers(self._client, topic_partition, timeout_s=self._timeout_s)
        return Outcomes({topic_partition: told}).values_or_raise()[topic_partition]

    async def _with_watermarks(
        self,
        before_offsets: Mapping[TopicPartition, int],
        outcomes: dict[TopicPartition, DeletedRecords | StreamkeepError],
    ) -> dict[TopicPartition, int]:
        """High watermarks by their numbers, so that a call that is made again deletes nothing newer; where
        one is not known that is the outcome."""
        unknown = [each for each, offset in before_offsets.items() if offset == HIGH_WATERMARK]
        told = await self.list_offsets(dict.fromkeys(unknown, "latest"))
        outcomes |= told.failed
        found = {each: offset.offset for each, offset in told.succeeded.items()}
        return {
            each: found.get(each, offset)
            for each, offset in before_offsets.items()
            if each not in told.failed
        }
