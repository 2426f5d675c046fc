"""What may happen to a member, or to the whole world, in one step of the chaos; and how often it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.property.raft_chaos.disk import Disk, directory
from tests.property.raft_chaos.member import ELECTION_TICKS, Member
from tests.property.raft_chaos.quorum_upkeep import quorum_of

if TYPE_CHECKING:
    from tests.property.raft_chaos.world import World


def stop(world: World, member: Member) -> None:
    """Rather a leader whose write is under way."""
    writing = [each for each, _ in world.leaders() if each.writing is not None]
    member = world.rng.choice([*writing, member])
    if member.node is not None and sum(each.node is None for each in world.members.values()) < 2:
        world.judge.seen["crash"] += 1
        member.crash()


def restart(world: World, member: Member) -> None:
    if member.node is None:
        member.start()


def cut(world: World, member: Member) -> None:
    world.cuts.add((member.id, world.rng.choice(world.ids)))


def isolate(world: World, member: Member) -> None:
    world.cuts |= {(member.id, each) for each in world.ids}
    if world.rng.random() < 0.5:
        world.cuts |= {(each, member.id) for each in world.ids}


def mend(world: World, member: Member) -> None:
    world.cuts.clear()


def strand(world: World, member: Member) -> None:
    """A leader is cut off, and slow to notice."""
    for leader, _ in world.leaders():
        isolate(world, leader)
        leader.pace = 0.1


def pace(world: World, member: Member) -> None:
    """Its clock is slow, or right again."""
    member.pace = world.rng.choice((0.2, 0.9, 1.0))


def pause(world: World, member: Member) -> None:
    member.paused_until = world.now + world.rng.randint(1, 3 * ELECTION_TICKS)


def wipe(world: World, member: Member) -> None:
    """Only while all that were ever promised anything still have it."""
    if world.is_whole():
        world.judge.seen["wipe"] += 1
        world.lives += 1
        member.crash()
        member.disk = Disk(directory(member.id, world.lives))
        member.led_term = 0
        member.start()


def leave(world: World, member: Member) -> None:
    """A leader gives up a voter, sometimes itself. With a disk lost as well nobody could promise to go on."""
    for leader, node in world.leaders() if world.is_whole() else ():
        members = quorum_of(node).members
        if sum(each.voter for each in members) > 1:
            world.propose_quorum(leader, [each for each in members if each.coordinator_id != member.id])


def transfer(world: World, member: Member) -> None:
    for leader, _ in world.leaders():
        world.attempt(leader, lambda node: node.transfer(world.rng.choice((0, member.id))), "transfer")


def snapshot(world: World, member: Member) -> None:
    if member.node is not None:
        member.take_snapshot()


def unreachable(world: World, member: Member) -> None:
    for leader, _ in world.leaders():
        world.attempt(leader, lambda node: node.unreachable(member.id), "unreachable")


def read(world: World, member: Member) -> None:
    world.read(member)


def propose(world: World, member: Member) -> None:
    world.propose()


HAPPENINGS: tuple[tuple[float, Callable[[World, Member], None]], ...] = (
    (0.04, stop),
    (0.03, cut),
    (0.04, isolate),
    (0.02, mend),
    (0.02, pause),
    (0.02, pace),
    (0.02, strand),
    (0.015, wipe),
    (0.04, leave),
    (0.02, transfer),
    (0.05, snapshot),
    (0.05, unreachable),
    (0.15, read),
    (0.39, propose),
)
"""Shares of all steps; in those that are left somebody restarts."""


def something_happens(world: World) -> None:
    chance = world.rng.random()
    member = world.members[world.rng.choice(world.ids)]
    for share, happening in HAPPENINGS:
        if chance < share:
            happening(world, member)
            return
        chance -= share
    restart(world, member)
