"""What the client believes of the cluster: who leads which partition, and where brokers and coordinators are.

Pure. Answers of several coordinators may arrive in any order and any age, so a partition only ever moves to a
greater (leader epoch, partition epoch), and a topic to another id only by a later metadata index. Only a
recovery by force, which raises the cluster's epoch, makes void what was known before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import UnknownPartitionError
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataResponse, TopicInfo
from streamkeep_proto.v1.errors_pb2 import LeaderHint

NO_ADDRESS = ""


@dataclass(slots=True)
class PartitionView:
    """One partition. `address` is empty while it has no leader that is known."""

    leader: int
    leader_epoch: int
    partition_epoch: int
    address: str


@dataclass(slots=True)
class TopicView:
    """One topic, with its partitions by number."""

    name: str
    topic_id: bytes
    metadata_index: int
    partitions: list[PartitionView] = field(default_factory=list)

    def partition(self, number: int) -> PartitionView:
        """UnknownPartitionError if the topic has no partition of that number."""
        if not 0 <= number < len(self.partitions):
            raise UnknownPartitionError(
                f"topic '{self.name}' has partitions 0 to {len(self.partitions) - 1}, not {number}"
            )
        return self.partitions[number]


class ClusterView:
    """The sum of all answers and hints so far. It is `stale` if whoever answered last had no quorum."""

    def __init__(self) -> None:
        self.cluster_id = ""
        self.cluster_epoch = 0
        self.metadata_index = 0
        self.stale = False
        self.addresses: dict[int, str] = {}
        self.topics: dict[str, TopicView] = {}

    def knows(self, topic_partition: TopicPartition) -> bool:
        """The coordinators have said that there is such a partition."""
        topic = self.topics.get(topic_partition.topic)
        return topic is not None and topic_partition.partition < len(topic.partitions)

    def apply(self, response: GetMetadataResponse) -> list[str]:
        """Take in an answer. Returns the names of topics that it says do not exist."""
        self.stale = response.stale
        if response.cluster_epoch > self.cluster_epoch:
            self._begin_epoch(response.cluster_epoch)
        if response.metadata_index >= self.metadata_index:
            self.metadata_index = response.metadata_index
            self.cluster_id = response.cluster_id
            self.addresses = {broker.broker_id: broker.address for broker in response.brokers}
        missing = []
        for topic in response.topics:
            if topic.error.code == errors_pb2.NONE:
                self._apply_topic(topic, response.metadata_index)
            elif topic.name:
                missing.append(topic.name)
                self._remove_topic(topic.name, response.metadata_index)
        self._refresh_addresses()
        return missing

    def apply_hint(self, topic_partition: TopicPartition | tuple[str, int], hint: LeaderHint) -> bool:
        """A broker named another leader. False if that is no news."""
        topic = self.topics.get(topic_partition[0])
        if topic is None or topic_partition[1] >= len(topic.partitions) or not hint.address:
            return False
        partition = topic.partitions[topic_partition[1]]
        if hint.leader_epoch <= partition.leader_epoch:
            return False
        partition.leader, partition.leader_epoch = hint.broker_id, hint.leader_epoch
        partition.address = self.addresses[hint.broker_id] = hint.address
        return True

    def _begin_epoch(self, cluster_epoch: int) -> None:
        """What the cluster had decided last may be lost, and decided differently since."""
        if self.cluster_epoch:
            self.metadata_index = 0
            self.topics.clear()
        self.cluster_epoch = cluster_epoch

    def _apply_topic(self, info: TopicInfo, metadata_index: int) -> None:
        known = self.topics.get(info.name)
        if known is None or known.topic_id != info.topic_id:
            if known is not None and known.metadata_index > metadata_index:
                return
            known = self.topics[info.name] = TopicView(info.name, info.topic_id, metadata_index)
        known.metadata_index = max(known.metadata_index, metadata_index)
        for partition in info.partitions:
            news = PartitionView(
                partition.leader, partition.leader_epoch, partition.partition_epoch, NO_ADDRESS
            )
            if partition.partition == len(known.partitions):
                known.partitions.append(news)
                continue
            old = known.partitions[partition.partition]
            if (news.leader_epoch, news.partition_epoch) >= (old.leader_epoch, old.partition_epoch):
                known.partitions[partition.partition] = news

    def _remove_topic(self, name: str, metadata_index: int) -> None:
        known = self.topics.get(name)
        if known is not None and known.metadata_index <= metadata_index:
            del self.topics[name]

    def _refresh_addresses(self) -> None:
        for topic in self.topics.values():
            for partition in topic.partitions:
                partition.address = self.addresses.get(partition.leader, NO_ADDRESS)
