"""The stream of messages to one other coordinator, whoever answers at its address."""

from __future__ import annotations

from streamkeep_common.methods import EXCHANGE, RAFT_SERVICE
from streamkeep_common.seams import ServerStream, Service
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.neighbours import Neighbours
from streamkeep_coordinator.quorum.transport import Transport
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEnvelope, RaftRefusal
from tests.sim.simulation import Simulation, run_simulation

ADDRESS = "coordinator-2:7101"


class Peers:
    """Passes refusals on to the neighbours, as the shell does."""

    def __init__(self, local: LocalCoordinator) -> None:
        self.neighbours = Neighbours(local)

    def committed_quorum(self) -> tuple[QuorumRecord | None, int]:
        return None, 0

    def unreachable(self, coordinator_id: int) -> None:
        assert coordinator_id == 2

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        self.neighbours.refused(member, refusal)


def test_who_refuses_without_a_reason_is_called_again() -> None:
    hellos: list[RaftEnvelope | None] = []

    async def refuse(stream: ServerStream[RaftEnvelope, RaftRefusal]) -> None:
        hellos.append(await stream.receive())
        await stream.send(RaftRefusal())

    async def run(simulation: Simulation) -> None:
        other = simulation.machine("coordinator-2")
        await other.network.serve(ADDRESS, [Service(RAFT_SERVICE, {}, {EXCHANGE: refuse})])
        machine = simulation.machine("coordinator-1")
        local = LocalCoordinator(Identity(1, b"1" * 16, "c" * 22, 1), "coordinator-1:7101")
        transport = Transport(
            machine.network, machine.clock, machine.rng, local, silence_s=1.2, peers=Peers(local)
        )
        member = QuorumMember(coordinator_id=2, directory_id=b"2" * 16, address=ADDRESS, voter=True)
        transport.follow(QuorumRecord(members=[member]))
        await machine.clock.sleep(5)
        await transport.close()
        assert len(hellos) > 3

    run_simulation(1, run)
