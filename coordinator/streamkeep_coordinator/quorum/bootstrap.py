"""How a new cluster begins: all its first members answer, and none of them belongs to a cluster.

Nothing is founded by an empty directory on its own account: the members are named by a setting or by an
operator, and as long as one of them does not answer, it may be one that knows the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from streamkeep_common.errors import (
    InvalidQuorumChangeError,
    StreamkeepError,
    UnavailableError,
    from_rpc,
)
from streamkeep_common.methods import PROBE
from streamkeep_common.seams import Clock, Network, RpcError
from streamkeep_coordinator.quorum.formatter import Formatter
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1.metadata_pb2 import QuorumMember
from streamkeep_proto.v1.raft_pb2 import CoordinatorAddress, ProbeRequest, ProbeResponse

PROBE_TIMEOUT_S = 1.0
RETRY_S = 0.1

_logger = logging.getLogger(__name__)


async def probe(network: Network, address: str) -> ProbeResponse:
    """Who answers there. UnavailableError and others if nobody does."""
    channel = network.dial(address)
    try:
        return await channel.call(PROBE, ProbeRequest(), timeout_s=PROBE_TIMEOUT_S)
    except RpcError as error:
        raise from_rpc(error) from None
    finally:
        await channel.close()


class Bootstrap:
    """Founds a cluster, if this coordinator is the one to do it."""

    def __init__(self, network: Network, clock: Clock, local: LocalCoordinator, formatter: Formatter) -> None:
        self._network = network
        self._clock = clock
        self._local = local
        self._formatter = formatter
        self._said = ""

    async def initialize(self, members: Sequence[CoordinatorAddress]) -> str:
        """Found a cluster of these members, this coordinator among them; its id.

        InvalidQuorumChangeError says who stands in the way, UnavailableError who does not answer.
        """
        if all(member.coordinator_id != self._local.id for member in members):
            raise InvalidQuorumChangeError(
                f"coordinator {self._local.id} is asked, and is not one of the members: ask one of them"
            )
        looks = await asyncio.gather(*(self._look_at(each) for each in members), return_exceptions=True)
        found = []
        for look in looks:  # the error of the first, whoever answered first
            if isinstance(look, BaseException):
                raise look
            found.append(look)
        return await self._formatter.found(sorted(found, key=lambda member: member.coordinator_id))

    async def wait_for_cluster(self, members: Sequence[tuple[int, str]]) -> None:
        """Until this coordinator belongs to a cluster: found it if its id is the lowest of these, as soon as
        all of them answer and none belongs to one; else somebody will name this directory.
        """
        addresses = [CoordinatorAddress(coordinator_id=number, address=at) for number, at in members]
        while not self._local.is_formatted:
            if addresses[0].coordinator_id == self._local.id:
                await self._try(addresses)
            await self._clock.sleep(RETRY_S)

    async def _try(self, members: Sequence[CoordinatorAddress]) -> None:
        try:
            cluster_id = await self.initialize(members)
        except StreamkeepError as error:
            if error.message != self._said:
                _logger.warning("no cluster is founded yet: %s", error.message)
            self._said = error.message
            return
        _logger.info("coordinator %d has founded cluster %s", self._local.id, cluster_id)

    async def _look_at(self, member: CoordinatorAddress) -> QuorumMember:
        """How the member will be listed, if it belongs to no cluster."""
        if member.coordinator_id == self._local.id:
            own = self._local.member(voter=True)
            own.address = own.address or member.address
            return own
        answer = await probe_member(self._network, member)
        if answer.cluster_id:
            raise InvalidQuorumChangeError(
                f"coordinator {member.coordinator_id} at {member.address} is one of cluster "
                f"{answer.cluster_id} already"
            )
        return as_member(answer, member, voter=True)


async def probe_member(network: Network, member: CoordinatorAddress) -> ProbeResponse:
    try:
        answer = await probe(network, member.address)
    except StreamkeepError as error:
        raise UnavailableError(
            f"coordinator {member.coordinator_id} does not answer at {member.address}: {error.message}"
        ) from None
    if answer.coordinator_id != member.coordinator_id:
        raise InvalidQuorumChangeError(
            f"at {member.address} is coordinator {answer.coordinator_id}, not {member.coordinator_id}"
        )
    return answer


def as_member(answer: ProbeResponse, named: CoordinatorAddress, *, voter: bool) -> QuorumMember:
    """Who answered a probe, as a quorum lists it."""
    return QuorumMember(
        coordinator_id=answer.coordinator_id,
        directory_id=answer.directory_id,
        address=answer.address or named.address,
        voter=voter,
        min_feature_level=answer.min_feature_level,
        max_feature_level=answer.max_feature_level,
    )
