"""The part of AdminService about where replicas are: moves, leaders, brokers on their way out."""

from __future__ import annotations

from functools import partial
from typing import Any

from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_common.methods import DRAIN_BROKER, ELECT_LEADERS, REASSIGN_PARTITIONS, REMOVE_BROKER
from streamkeep_common.seams import CallInfo, UnaryMethod
from streamkeep_common.seams.network import UnaryHandler
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata.drain import drain_broker, remove_broker
from streamkeep_coordinator.metadata.elect_leaders import elect_leaders
from streamkeep_coordinator.metadata.plans import reassign_partitions
from streamkeep_coordinator.services.commands import answer
from streamkeep_coordinator.services.requests import check_topics
from streamkeep_proto.v1.coordinator_pb2 import (
    DrainBrokerRequest,
    DrainBrokerResponse,
    ElectLeadersRequest,
    ElectLeadersResponse,
    ReassignPartitionsRequest,
    ReassignPartitionsResponse,
    RemoveBrokerRequest,
    RemoveBrokerResponse,
)


class PlacementService:
    """Each call is one command. `handlers` are for AdminService, whose methods these are."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def handlers(self) -> dict[UnaryMethod[Any, Any], UnaryHandler]:
        return {
            REASSIGN_PARTITIONS: self.reassign_partitions,
            ELECT_LEADERS: self.elect_leaders,
            DRAIN_BROKER: self.drain_broker,
            REMOVE_BROKER: self.remove_broker,
        }

    async def reassign_partitions(
        self, request: ReassignPartitionsRequest, _info: CallInfo
    ) -> ReassignPartitionsResponse:
        """Unless it was only validated, each success says where in the log the move has begun."""
        check_topics([each.topic for each in request.explicit.partitions])
        check_topics([each.topic for each in request.cancel.partitions])
        check_topics([request.replication_factor.topic])
        try:
            done = await self._controller.execute(partial(reassign_partitions, request=request))
        except StreamkeepError as error:
            return ReassignPartitionsResponse(error=to_proto(error))
        for outcome in done.answer.outcomes if not request.validate_only else ():
            if not outcome.HasField("error"):
                outcome.metadata_index = done.index
        return done.answer

    async def elect_leaders(self, request: ElectLeadersRequest, _info: CallInfo) -> ElectLeadersResponse:
        check_topics([each.topic for each in request.partitions])
        command = partial(elect_leaders, request=request)
        return await answer(self._controller, command, ElectLeadersResponse)

    async def drain_broker(self, request: DrainBrokerRequest, _info: CallInfo) -> DrainBrokerResponse:
        return await answer(self._controller, partial(drain_broker, request=request), DrainBrokerResponse)

    async def remove_broker(self, request: RemoveBrokerRequest, _info: CallInfo) -> RemoveBrokerResponse:
        return await answer(self._controller, partial(remove_broker, request=request), RemoveBrokerResponse)
