"""What there is: topics, brokers and coordinators, log directories."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence

from streamkeep.admin.base import AdminBase
from streamkeep.admin.outcomes import Outcomes
from streamkeep.coordinators import Whom
from streamkeep_common.errors import StreamkeepError, UnknownBrokerError, raise_if_error
from streamkeep_common.methods import DESCRIBE_CLUSTER, DESCRIBE_LOG_DIRS, DESCRIBE_TOPICS, LIST_TOPICS
from streamkeep_common.topics import is_internal
from streamkeep_proto.v1.broker_pb2 import DescribeLogDirsRequest, LogDir
from streamkeep_proto.v1.coordinator_pb2 import (
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeTopicsRequest,
    ListTopicsRequest,
    TopicInfo,
    TopicListing,
)


class DescribingAdmin(AdminBase):
    """See `Admin`."""

    async def list_topics(
        self, *, pattern: str | re.Pattern[str] = "", internal: bool = True
    ) -> list[TopicListing]:
        """All topics, by name; or those whose whole name the pattern, a regular expression, matches.

        `internal=False` leaves out those whose names begin with two underscores, as Streamkeep's own do.
        """
        wanted = re.compile(pattern)
        return [
            topic
            for topic in (await self._ask(Whom.ANY, LIST_TOPICS, ListTopicsRequest())).topics
            if (not wanted.pattern or wanted.fullmatch(topic.name))
            and (internal or not is_internal(topic.name))
        ]

    async def describe_topic(self, name: str) -> TopicInfo:
        """Partitions and settings of a topic. Raises UnknownTopicError."""
        (topic,) = await self.describe_topics([name])
        raise_if_error(topic.error)
        return topic

    async def describe_topics(self, names: Iterable[str] = ()) -> list[TopicInfo]:
        """Partitions and settings of these topics, each with its `error`; of all topics if none is named."""
        request = DescribeTopicsRequest(names=names)
        return list((await self._ask(Whom.ANY, DESCRIBE_TOPICS, request)).topics)

    async def describe_cluster(self) -> DescribeClusterResponse:
        """Coordinators, brokers, and how many topics and partitions there are.

        `stale` is set if no coordinator that can be reached has a quorum: this is then what one of them
        knows.
        """
        return await self._client.coordinators.ask(
            Whom.ANY,
            DESCRIBE_CLUSTER,
            DescribeClusterRequest(),
            timeout_s=self._timeout_s,
            second_best=lambda answer: answer.stale,
        )

    async def broker_addresses(self) -> dict[int, str]:
        """Where each broker listens, by id; fenced ones too."""
        return {each.broker_id: each.address for each in (await self.describe_cluster()).brokers}

    async def describe_log_dirs(self, broker_id: int) -> list[LogDir]:
        """State and contents of a broker's log directories. Raises UnknownBrokerError, UnavailableError."""
        address = (await self.broker_addresses()).get(broker_id)
        if address is None:
            raise UnknownBrokerError(f"there is no broker {broker_id}")
        return await self._log_dirs(address)

    async def describe_all_log_dirs(self, broker_ids: Iterable[int] = ()) -> Outcomes[int, list[LogDir]]:
        """The log directories of these brokers, or of all if none is named, or why one does not tell."""
        addresses = await self.broker_addresses()
        return await self._log_dirs_of(sorted(set(broker_ids)) or list(addresses), addresses)

    async def _log_dirs_of(
        self, broker_ids: Sequence[int], addresses: Mapping[int, str]
    ) -> Outcomes[int, list[LogDir]]:
        told = await asyncio.gather(*(self._told(each, addresses) for each in broker_ids))
        return Outcomes(dict(zip(broker_ids, told, strict=True)))

    async def _told(self, broker_id: int, addresses: Mapping[int, str]) -> list[LogDir] | StreamkeepError:
        if broker_id not in addresses:
            return UnknownBrokerError(f"there is no broker {broker_id}")
        try:
            return await self._log_dirs(addresses[broker_id])
        except StreamkeepError as error:
            return error

    async def _log_dirs(self, address: str) -> list[LogDir]:
        answer = await self._client.call_broker(address, DESCRIBE_LOG_DIRS, DescribeLogDirsRequest())
        return list(answer.dirs)
