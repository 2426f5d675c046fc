"""How a new cluster begins: all its first members answer, and none of them belongs to a cluster.

Nothing is founded by an empty directory on its own account: the members are named by a setting or by an
operator, and as long as one of them does not answer, it may be one that knows the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from streamkeep_common.errors import (
    InvalidQuorumChangeError,
    StreamkeepError,
    UnavailableError,
    from_rpc,
    raise_if_error,
)
from streamkeep_common.methods import INITIALIZE_CLUSTER, PROBE
from streamkeep_common.seams import Clock, Network, RpcError, UnaryMethod
from streamkeep_coordinator.quorum.formatter import Formatter
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1.metadata_pb2 import QuorumMember
from streamkeep_proto.v1.raft_pb2 import (
    CoordinatorAddress,
    InitializeClusterRequest,
    ProbeRequest,
    ProbeResponse,
)

PROBE_TIMEOUT_S = 1.0
FOUND_TIMEOUT_S = 3.0
RETRY_S = 0.1

_logger = logging.getLogger(__name__)


Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


async def ask(network: Network, address: str, method: UnaryMethod[Q, R], request: Q, timeout_s: float) -> R:
    """What is answered there. UnavailableError and others if nobody does."""
    channel = network.dial(address)
    try:
        return await channel.call(method, request, timeout_s=timeout_s)
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
        """Have a cluster founded of these members, this coordinator among them; its id.

        Whoever is asked, the one with the lowest id does it: two that are asked at once would make a cluster
        each. InvalidQuorumChangeError says who stands in the way, UnavailableError who does not answer.
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
        founder = min(members, key=lambda member: member.coordinator_id)
        if founder.coordinator_id != self._local.id:
            return await self._ask(founder, members)
        return await self._formatter.found(sorted(found, key=lambda member: member.coordinator_id))

    async def wait_for_cluster(self, members: Sequence[tuple[int, str]]) -> None:
        """Until this coordinator belongs to a cluster: found it if its id is the lowest of these, as soon as
        all of them answer and none belongs to one; else somebody will name this directory.
        """
        self._say_who_founds(members)
        addresses = [CoordinatorAddress(coordinator_id=number, address=at) for number, at in members]
        while not self._local.is_formatted:
            if addresses[0].coordinator_id == self._local.id:
                await self._try(addresses)
            await self._clock.sleep(RETRY_S)

    def _say_who_founds(self, members: Sequence[tuple[int, str]]) -> None:
        founder, address = members[0]
        if self._local.id not in dict(members):
            _logger.warning(
                "initial_members does not name coordinator %d: it waits for `streamctl quorum add`",
                self._local.id,
            )
        elif founder != self._local.id:
            _logger.info(
                "coordinator %d waits until coordinator %d at %s founds the cluster, or another member of it "
                "lets this one in",
                self._local.id,
                founder,
                address,
            )

    async def _try(self, members: Sequence[CoordinatorAddress]) -> None:
        try:
            await self.initialize(members)
        except StreamkeepError as error:
            if error.message != self._said:
                _logger.warning("no cluster is founded yet: %s", error.message)
            self._said = error.message

    async def _ask(self, founder: CoordinatorAddress, members: Sequence[CoordinatorAddress]) -> str:
        request = InitializeClusterRequest(members=members)
        answer = await ask(
            self._network, founder.address, INITIALIZE_CLUSTER, request, timeout_s=FOUND_TIMEOUT_S
        )
        raise_if_error(answer.error)
        return answer.cluster_id

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
        answer = await ask(network, member.address, PROBE, ProbeRequest(), timeout_s=PROBE_TIMEOUT_S)
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
