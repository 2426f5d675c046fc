from __future__ import annotations

from streamkeep_common.image import ClusterImage
from streamkeep_common.server.metrics import Metrics
from streamkeep_coordinator.metrics import CoordinatorMetrics
from streamkeep_proto.v1.raft_pb2 import (
    MEMBER_ACTIVE,
    MEMBER_FOLLOWING,
    MEMBER_UNREACHABLE,
    DescribeQuorumResponse,
    MemberStatus,
)
from tests.unit.coordinator.control import FakeControl
from tests.unit.coordinator.members import Members, simulate_members


def test_a_scrape_shows_the_quorum_as_it_is_now() -> None:
    async def scenario(members: Members) -> None:
        metrics = Metrics()
        shown = CoordinatorMetrics(metrics)
        control = FakeControl(
            DescribeQuorumResponse(
                members=[
                    MemberStatus(coordinator_id=1, voter=True, state=MEMBER_ACTIVE),
                    MemberStatus(coordinator_id=2, voter=True, state=MEMBER_UNREACHABLE, lag=7),
                    MemberStatus(coordinator_id=3, state=MEMBER_FOLLOWING),
                ]
            )
        )
        shown.watch_image(ClusterImage, lambda: 4)
        shown.watch_quorum(members[1].consensus, control, role=lambda: "leader")
        shown.activations.inc()
        lines = metrics.render().decode().splitlines()
        for line in (
            "streamkeep_active 1.0",
            "streamkeep_raft_term 1.0",
            'streamkeep_raft_role{role="leader"} 1.0',
            'streamkeep_quorum_members{kind="voter"} 2.0',
            'streamkeep_quorum_members{kind="learner"} 1.0',
            "streamkeep_quorum_unreachable 1.0",
            'streamkeep_quorum_lag_entries{coordinator="2"} 7.0',
            "streamkeep_active_sessions 4.0",
            "streamkeep_activations_total 1.0",
        ):
            assert line in lines
        del control.view.members[1:]
        assert b'quorum_lag_entries{coordinator="2"}' not in metrics.render()

    simulate_members(scenario)
