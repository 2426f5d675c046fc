"""The part of SessionService in which brokers speak of partitions: proposals of in-sync sets, reports."""

from __future__ import annotations

from functools import partial
from typing import Any

from streamkeep_common.errors import InvalidRequestError, StreamkeepError, to_proto
from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import ALTER_PARTITIONS, REPORT_REPLICAS
from streamkeep_common.seams import CallInfo, UnaryMethod
from streamkeep_common.seams.network import UnaryHandler
from streamkeep_coordinator.active_duty import ActiveDuty
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata import Decision
from streamkeep_coordinator.metadata.alter_partitions import alter_partitions
from streamkeep_coordinator.metadata.limits import MAX_REPLICATED_PER_REQUEST
from streamkeep_coordinator.metadata.replica_reports import report_replicas
from streamkeep_coordinator.services.commands import answer
from streamkeep_proto.v1.coordinator_pb2 import (
    AlterPartitionsRequest,
    AlterPartitionsResponse,
    ReportReplicasRequest,
    ReportReplicasResponse,
)


class ReplicaCalls:
    """Each call is one command. `handlers` are for SessionService, whose methods these are."""

    def __init__(self, controller: Controller, duty: ActiveDuty) -> None:
        self._controller = controller
        self._duty = duty

    def handlers(self) -> dict[UnaryMethod[Any, Any], UnaryHandler]:
        return {ALTER_PARTITIONS: self.alter_partitions, REPORT_REPLICAS: self.report_replicas}

    async def alter_partitions(
        self, request: AlterPartitionsRequest, _info: CallInfo
    ) -> AlterPartitionsResponse:
        return await answer(
            self._controller, partial(self._altered, request=request), AlterPartitionsResponse
        )

    async def report_replicas(
        self, request: ReportReplicasRequest, _info: CallInfo
    ) -> ReportReplicasResponse:
        try:
            _check_count(len(request.replicas))
            upkeep = self._duty.upkeep()
            response = (await self._controller.execute(partial(report_replicas, request=request))).answer
        except StreamkeepError as error:
            return ReportReplicasResponse(error=to_proto(error))
        upkeep.hear(request, response)
        return response

    def _altered(
        self, image: ClusterImage, request: AlterPartitionsRequest
    ) -> Decision[AlterPartitionsResponse]:
        _check_count(len(request.partitions))
        return alter_partitions(image, request, leaving=self._duty.keeper().leaving)


def _check_count(partitions: int) -> None:
    if partitions > MAX_REPLICATED_PER_REQUEST:
        raise InvalidRequestError(
            f"the request speaks of {partitions} partitions: send more than {MAX_REPLICATED_PER_REQUEST} in "
            f"several requests"
        )
