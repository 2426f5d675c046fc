"""QuorumService: operators make a cluster, look at its quorum and change it.

A change that can be seen beforehand not to work, or to do harm, is refused with a sentence that says what to
do instead; others are carried out by `QuorumControl`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from streamkeep_common.errors import NotActiveError, StreamkeepError, raise_if_error, to_proto
from streamkeep_common.methods import (
    ADD_COORDINATOR,
    DESCRIBE_QUORUM,
    INITIALIZE_CLUSTER,
    QUORUM_SERVICE,
    REMOVE_COORDINATOR,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.seams import CallInfo, Service
from streamkeep_coordinator.consensus import Consensus, QuorumControl
from streamkeep_coordinator.services.quorum_checks import (
    check_add,
    check_members,
    check_remove,
    check_transfer,
)
from streamkeep_proto.v1.raft_pb2 import (
    AddCoordinatorRequest,
    ChangeQuorumResponse,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    InitializeClusterRequest,
    InitializeClusterResponse,
    RemoveCoordinatorRequest,
    TransferLeadershipRequest,
)


class QuorumService:
    """What went wrong travels in the response's `error`."""

    def __init__(self, control: QuorumControl, consensus: Consensus) -> None:
        self._control = control
        self._consensus = consensus

    def service(self) -> Service:
        return Service(
            QUORUM_SERVICE,
            {
                INITIALIZE_CLUSTER: self.initialize_cluster,
                DESCRIBE_QUORUM: self.describe_quorum,
                ADD_COORDINATOR: self.add_coordinator,
                REMOVE_COORDINATOR: self.remove_coordinator,
                TRANSFER_LEADERSHIP: self.transfer_leadership,
            },
            {},
        )

    async def initialize_cluster(
        self, request: InitializeClusterRequest, _info: CallInfo
    ) -> InitializeClusterResponse:
        try:
            check_members(request.members)
            cluster_id = await self._control.initialize(request.members)
        except StreamkeepError as error:
            return InitializeClusterResponse(error=to_proto(error))
        return InitializeClusterResponse(cluster_id=cluster_id)

    async def describe_quorum(
        self, _request: DescribeQuorumRequest, _info: CallInfo
    ) -> DescribeQuorumResponse:
        return self._control.describe()

    async def add_coordinator(self, request: AddCoordinatorRequest, _info: CallInfo) -> ChangeQuorumResponse:
        return await self._change(
            partial(check_add, coordinator=request.coordinator),
            partial(self._control.add, request.coordinator),
        )

    async def remove_coordinator(
        self, request: RemoveCoordinatorRequest, _info: CallInfo
    ) -> ChangeQuorumResponse:
        return await self._change(
            partial(check_remove, coordinator_id=request.coordinator_id),
            partial(self._control.remove, request.coordinator_id),
        )

    async def transfer_leadership(
        self, request: TransferLeadershipRequest, _info: CallInfo
    ) -> ChangeQuorumResponse:
        return await self._change(
            partial(check_transfer, coordinator_id=request.coordinator_id),
            partial(self._control.transfer_to, request.coordinator_id),
        )

    async def _change(
        self, check: Callable[[DescribeQuorumResponse], None], act: Callable[[], Awaitable[None]]
    ) -> ChangeQuorumResponse:
        try:
            view = self._control.describe()
            raise_if_error(view.error)
            if not self._consensus.is_active:
                raise NotActiveError("no coordinator is known to be active at the moment")
            check(view)
            await act()
        except StreamkeepError as error:
            return ChangeQuorumResponse(error=to_proto(error), active_id=self._consensus.active_id)
        return ChangeQuorumResponse(active_id=self._consensus.active_id)
