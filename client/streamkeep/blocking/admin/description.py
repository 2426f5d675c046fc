"""What there is: topics, brokers and coordinators, log directories."""

from __future__ import annotations

import re
from collections.abc import Iterable

from streamkeep.admin.outcomes import Outcomes
from streamkeep.blocking.admin.base import AdminBase
from streamkeep_proto.v1.broker_pb2 import LogDir
from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterResponse, TopicInfo, TopicListing


class DescribingAdmin(AdminBase):
    """See `Admin`."""

    def list_topics(
        self, *, pattern: str | re.Pattern[str] = "", internal: bool = True
    ) -> list[TopicListing]:
        """All topics, by name; or those whose whole name the pattern, a regular expression, matches."""
        return self._call(self._on_loop.list_topics(pattern=pattern, internal=internal))

    def describe_topic(self, name: str) -> TopicInfo:
        """Partitions and settings of a topic. Raises UnknownTopicError."""
        return self._call(self._on_loop.describe_topic(name))

    def describe_topics(self, names: Iterable[str] = ()) -> list[TopicInfo]:
        """Partitions and settings of these topics, each with its `error`; of all topics if none is named."""
        return self._call(self._on_loop.describe_topics(names))

    def describe_cluster(self) -> DescribeClusterResponse:
        """Coordinators, brokers, and how many topics and partitions there are."""
        return self._call(self._on_loop.describe_cluster())

    def broker_addresses(self) -> dict[int, str]:
        """Where each broker listens, by id; fenced ones too."""
        return self._call(self._on_loop.broker_addresses())

    def describe_log_dirs(self, broker_id: int) -> list[LogDir]:
        """State and contents of a broker's log directories. Raises UnknownBrokerError, UnavailableError."""
        return self._call(self._on_loop.describe_log_dirs(broker_id))

    def describe_all_log_dirs(self, broker_ids: Iterable[int] = ()) -> Outcomes[int, list[LogDir]]:
        """The log directories of these brokers, or of all if none is named, or why one does not tell."""
        return self._call(self._on_loop.describe_all_log_dirs(broker_ids))
