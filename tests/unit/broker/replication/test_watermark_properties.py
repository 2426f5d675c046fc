"""However acknowledgements, images and answers come, late, lost or repeated: the high watermark never passes
what a member of the committed in-sync set has on its disk, for any of them may lead next.

The leader is the real one. The coordinator and the followers are models that do as the contract says; what
they send is delivered in any order, or never. Walks are random, each from its seed, and weighted so that most
of the time there is something to lose.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import PartitionImage
from streamkeep_proto.v1.coordinator_pb2 import InSyncMember
from tests.unit.broker.replication.led import ME, Follower, Led, image

FOLLOWERS = (2, 3)
SEEDS = 60
STEPS = 400


@dataclass
class Replica:
    """What a follower really has. A new registration has lost it all."""

    broker_epoch: int = 1
    fenced: bool = False
    log_end: int = 0
    flushed_end: int = 0
    subscription: Follower | None = None


@dataclass
class Proposal:
    """On its way to the coordinator."""

    leader_epoch: int
    partition_epoch: int
    members: list[InSyncMember]


@dataclass
class Coordinator:
    """What is committed, and every image of it that the leader may not have seen yet."""

    isr: tuple[int, ...] = (1, 2, 3)
    leader_epoch: int = 1
    partition_epoch: int = 1
    unseen: list[tuple[PartitionImage, dict[int, int], tuple[int, ...]]] = field(default_factory=list)


class Walk:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.led = Led(segment_bytes=1 << 20)
        self.coordinator = Coordinator()
        self.replicas = {2: Replica(), 3: Replica()}
        self.acks: list[tuple[Follower, int, int]] = []
        self.proposals: list[Proposal] = []
        self.asked: Proposal | None = None
        self.highest = 0
        self.commit()
        self.see_image()
        for replica_id in FOLLOWERS:
            self.subscribe_as(replica_id)

    def commit(self) -> None:
        image_now = image(
            isr=self.coordinator.isr,
            leader_epoch=self.coordinator.leader_epoch,
            partition_epoch=self.coordinator.partition_epoch,
        )
        epochs = {each: replica.broker_epoch for each, replica in self.replicas.items()}
        fenced = tuple(each for each, replica in self.replicas.items() if replica.fenced)
        self.coordinator.unseen.append((image_now, epochs, fenced))

    # --- the leader ---

    def append(self) -> None:
        self.led.append(self.rng.randint(1, 3))

    def flush(self) -> None:
        self.led.flush()

    def wait(self) -> None:
        self.led.clock.now_s += self.rng.uniform(0.1, 4.0)

    def see_image(self) -> None:
        if not self.coordinator.unseen:
            return
        image_then, epochs, fenced = self.coordinator.unseen.pop(0)
        self.led.apply(image_then, epochs=epochs, fenced=fenced)

    def propose(self) -> None:
        partition = self.led.partition
        members = self.led.propose()
        if members is not None:
            self.asked = Proposal(partition.leader_epoch, partition.partition_epoch, members)
            self.proposals.append(self.asked)

    def lose_answer(self) -> None:
        """The call timed out; what was asked may still arrive."""
        if self.asked is not None:
            self.asked = None
            self.led.leadership.isr_unknown()

    # --- the coordinator ---

    def decide(self) -> None:
        if not self.proposals:
            return
        proposal = self.proposals.pop(self.rng.randrange(len(self.proposals)))
        accepted = self.is_acceptable(proposal)
        if accepted:
            self.coordinator.isr = tuple(member.broker_id for member in proposal.members)
            self.coordinator.partition_epoch += 1
            self.commit()
        if proposal is self.asked and self.rng.random() < 0.7:
            self.asked = None
            partition = self.led.partition
            stands = (partition.leader_epoch, partition.partition_epoch)
            if not accepted and stands == (proposal.leader_epoch, proposal.partition_epoch):
                self.led.leadership.isr_refused()

    def is_acceptable(self, proposal: Proposal) -> bool:
        now = self.coordinator
        if (proposal.leader_epoch, proposal.partition_epoch) != (now.leader_epoch, now.partition_epoch):
            return False
        return all(
            member.broker_id == ME
            or (
                not self.replicas[member.broker_id].fenced
                and self.replicas[member.broker_id].broker_epoch == member.broker_epoch
            )
            for member in proposal.members
        )

    def fence(self) -> None:
        broker_id = self.rng.choice(FOLLOWERS)
        self.replicas[broker_id].fenced = True
        self.leave(broker_id)

    def unfence(self) -> None:
        broker_id = self.rng.choice(FOLLOWERS)
        self.replicas[broker_id].fenced = False
        self.commit()

    def elect_the_same_again(self) -> None:
        self.coordinator.leader_epoch += 1
        self.coordinator.partition_epoch += 1
        self.commit()

    def leave(self, broker_id: int) -> None:
        now = self.coordinator
        if broker_id in now.isr:
            now.isr = tuple(each for each in now.isr if each != broker_id)
            now.partition_epoch += 1
        self.commit()

    # --- followers ---

    def lose_the_disk(self) -> None:
        broker_id = self.rng.choice(FOLLOWERS)
        """Back with a new registration and nothing: it is out of the in-sync set before anything else."""
        self.replicas[broker_id] = Replica(broker_epoch=self.replicas[broker_id].broker_epoch + 1)
        self.leave(broker_id)

    def subscribe(self) -> None:
        self.subscribe_as(self.rng.choice(FOLLOWERS))

    def subscribe_as(self, broker_id: int) -> None:
        replica = self.replicas[broker_id]
        try:
            replica.subscription = self.led.follow(
                broker_id, at=replica.log_end, flushed=replica.flushed_end, broker_epoch=replica.broker_epoch
            )
        except StreamkeepError:
            replica.subscription = None

    def replicate(self) -> None:
        """One takes a part of what the leader has pushed, and says so."""
        replica, part = self.replicas[self.rng.choice(FOLLOWERS)], self.rng.random()
        if replica.subscription is not None and replica.subscription.error is None:
            replica.log_end += round((self.led.log.log_end_offset - replica.log_end) * part)
            self.say(replica)

    def keep_up(self) -> None:
        """All is as it should be for these: they follow, have everything, on disk, and the leader knows."""
        self.led.flush()
        for broker_id in self.rng.choice(((2,), (3,), (2, 3))):
            replica = self.replicas[broker_id]
            if replica.subscription is None or replica.subscription.error is not None:
                self.subscribe_as(broker_id)
            if replica.subscription is not None:
                replica.log_end = replica.flushed_end = self.led.log.log_end_offset
                self.say(replica)
                self.led.leadership.acknowledge(*self.acks.pop())

    def make_durable(self) -> None:
        replica = self.replicas[self.rng.choice(FOLLOWERS)]
        replica.flushed_end = replica.log_end
        self.say(replica)

    def say(self, replica: Replica) -> None:
        if replica.subscription is not None:
            self.acks.append((replica.subscription, replica.log_end, replica.flushed_end))

    def hear(self) -> None:
        if self.acks:
            acknowledged = self.acks.pop(self.rng.randrange(len(self.acks)))
            self.led.leadership.acknowledge(*acknowledged)

    # --- walking ---

    def run(self, steps: int) -> None:
        weights: dict[Callable[[], None], int] = {
            self.append: 10,
            self.keep_up: 14,
            self.see_image: 12,
            self.propose: 8,
            self.decide: 8,
            self.hear: 6,
            self.replicate: 6,
            self.make_durable: 4,
            self.flush: 4,
            self.unfence: 4,
            self.wait: 2,
            self.lose_answer: 2,
            self.subscribe: 2,
            self.fence: 1,
            self.lose_the_disk: 1,
            self.elect_the_same_again: 1,
        }
        for step in self.rng.choices(list(weights), list(weights.values()), k=steps):
            step()
            self.check()

    def check(self) -> None:
        watermark = self.led.high_watermark
        assert watermark >= self.highest, "it never goes back"
        self.highest = watermark
        assert watermark <= self.led.log.flushed_end_offset
        for member in self.coordinator.isr:
            assert member == ME or watermark <= self.replicas[member].flushed_end, f"broker {member} lacks it"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_acknowledged_is_on_the_disk_of_every_member(seed: int) -> None:
    walk = Walk(seed)
    walk.run(STEPS)
    assert walk.highest > 0, "there was something to lose"
    assert walk.coordinator.partition_epoch > 3
