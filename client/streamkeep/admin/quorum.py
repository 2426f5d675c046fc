"""Administration of the quorum: the coordinators that keep the metadata, and who of them is active."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from streamkeep.admin.base import AdminBase, raise_if_refused
from streamkeep.coordinators import Whom
from streamkeep_common.errors import ClusterMismatchError, StreamkeepError, UnavailableError
from streamkeep_common.methods import (
    ADD_COORDINATOR,
    DESCRIBE_QUORUM,
    INITIALIZE_CLUSTER,
    REMOVE_COORDINATOR,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.retry import RetryPolicy, call_with_retries
from streamkeep_proto.v1.raft_pb2 import (
    AddCoordinatorRequest,
    ChangeQuorumResponse,
    CoordinatorAddress,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    InitializeClusterRequest,
    InitializeClusterResponse,
    RemoveCoordinatorRequest,
    TransferLeadershipRequest,
)


class QuorumAdmin(AdminBase):
    """See `Admin`."""

    async def initialize_cluster(self, members: Iterable[tuple[int, str]]) -> InitializeClusterResponse:
        """Make a new cluster out of coordinators, each (id, "host:port"), with empty data directories.

        The first of the bootstrap addresses that answers is asked, and has the member with the lowest id do
        it. All members must be up: they are waited for. Raises UnavailableError if one
        is not, InvalidQuorumChangeError, or ClusterMismatchError if one belongs to a cluster already, as it
        does if only the answer was lost: `describe_quorum` tells.
        """
        request = InitializeClusterRequest(
            members=[
                CoordinatorAddress(coordinator_id=number, address=address) for number, address in members
            ]
        )
        return await call_with_retries(
            partial(self._initialize, request),
            clock=self._client.clock,
            rng=self._client.rng,
            policy=RetryPolicy(budget_ms=round(self._timeout_s * 1_000)),
            retriable=lambda error: isinstance(error, UnavailableError),
        )

    async def _initialize(self, request: InitializeClusterRequest) -> InitializeClusterResponse:
        failure: StreamkeepError | None = None
        for address in self._client.coordinators.bootstrap:
            try:
                return await self._client.coordinators.ask_one(
                    address, INITIALIZE_CLUSTER, request, timeout_s=self._timeout_s, check=raise_if_refused
                )
            except UnavailableError as error:
                failure = failure or error
        assert failure is not None, "there is an address"
        raise failure

    async def describe_quorum(self) -> DescribeQuorumResponse:
        """The members of the quorum, who is active, and how far each member has come.

        Without a quorum this is what one coordinator knows, and `stale`. Raises NotInitializedError if those
        that answer belong to no cluster yet.
        """
        return await self._client.coordinators.ask(
            Whom.STRANGERS_TOO,
            DESCRIBE_QUORUM,
            DescribeQuorumRequest(),
            timeout_s=self._timeout_s,
            check=self._check_described,
            second_best=lambda answer: answer.stale,
        )

    def _check_described(self, answer: DescribeQuorumResponse) -> None:
        raise_if_refused(answer)
        ours = self._client.coordinators.cluster_id
        if ours not in ("", answer.cluster_id):
            raise ClusterMismatchError(f"this is the quorum of cluster {answer.cluster_id}, not of {ours}")

    async def add_coordinator(self, coordinator_id: int, address: str) -> ChangeQuorumResponse:
        """Let in a coordinator that runs with an empty data directory. It learns first, and votes as soon as
        it has caught up.

        Raises InvalidQuorumChangeError, also if an answer was lost and it has been let in already.
        """
        coordinator = CoordinatorAddress(coordinator_id=coordinator_id, address=address)
        return await self._ask(Whom.ACTIVE, ADD_COORDINATOR, AddCoordinatorRequest(coordinator=coordinator))

    async def remove_coordinator(self, coordinator_id: int) -> ChangeQuorumResponse:
        """Put a coordinator out of the quorum for good; if it is the active one, another one becomes active.

        Raises InvalidQuorumChangeError, also if an answer was lost and it is out already.
        """
        request = RemoveCoordinatorRequest(coordinator_id=coordinator_id)
        return await self._ask(Whom.ACTIVE, REMOVE_COORDINATOR, request)

    async def transfer_leadership(self, coordinator_id: int = 0) -> ChangeQuorumResponse:
        """Make another voter the active coordinator; 0 = whichever has most of the log.

        Raises InvalidQuorumChangeError if that one does not vote or cannot be reached.
        """
        request = TransferLeadershipRequest(coordinator_id=coordinator_id)
        return await self._ask(Whom.ACTIVE, TRANSFER_LEADERSHIP, request)
