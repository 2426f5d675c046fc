"""What a read is answered from: the image, as new as whoever asks may expect.

A coordinator answers from what it has applied. That contains everything that was committed before the request
came once a `read_barrier` is passed, on the active coordinator and on any other. Who asks where things are
cannot wait for a quorum that is gone: the answer is then what this coordinator knows, marked stale.
"""

from __future__ import annotations

from streamkeep_common.errors import NoQuorumError, StreamkeepError
from streamkeep_common.image import ClusterImage
from streamkeep_common.seams import RpcError, Status
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.controller import Controller

LINEARIZABLE_S = 2.0
FRESH_S = 0.5


class Reads:
    """Each read waits by itself; `Consensus` lets all that come together share one question to the others."""

    def __init__(self, controller: Controller, consensus: Consensus) -> None:
        self._controller = controller
        self._consensus = consensus

    async def linearizable(self) -> ClusterImage:
        """With everything that was committed before the call.

        NoQuorumError after 2 s without confirmation; NotInitializedError, RemovedError.
        """
        if (error := self._controller.exclusion()) is not None:
            raise error
        await self._consensus.read_barrier(LINEARIZABLE_S)
        return self._controller.image

    async def fresh_or_stale(self) -> tuple[ClusterImage, bool]:
        """The image, and whether it may be old: so it is after 500 ms without confirmation, and at once if
        nobody is known to be active.

        RpcError(UNAVAILABLE) from a coordinator that belongs to no cluster, not any more, or only just, or
        that stops: it has nothing to tell, and whoever asks is to try the next one.
        """
        try:
            if (error := self._controller.exclusion()) is not None:
                raise error
            is_confirmed = await self._is_confirmed()
        except StreamkeepError as error:
            raise RpcError(Status.UNAVAILABLE, str(error)) from error
        image = self._controller.image
        if not image.cluster_id:
            raise RpcError(Status.UNAVAILABLE, "this coordinator has only just joined and knows nothing yet")
        return image, not is_confirmed

    async def _is_confirmed(self) -> bool:
        if not self._consensus.active_id:
            return False
        try:
            await self._consensus.read_barrier(FRESH_S)
        except NoQuorumError:
            return False
        return True
