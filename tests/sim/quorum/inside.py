"""Where in a coordinator the things are that checkers look at: the one place that knows."""

from __future__ import annotations

from dataclasses import dataclass

from streamkeep_coordinator.coordinator import Coordinator
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.raft.node import RaftNode


@dataclass(slots=True)
class Inside:
    """Of one process that has recovered its log."""

    driver: Driver
    images: Images
    local: LocalCoordinator


def vote_of(node: RaftNode) -> int:
    """Who has the node's vote in its term; 0 = nobody."""
    return node._core.vote


def look_inside(coordinator: Coordinator) -> Inside | None:
    """None: it has not come so far yet."""
    quorum, images = coordinator._quorum, coordinator._images
    if quorum is None or images is None:
        return None
    return Inside(quorum.driver, images, quorum.local)
