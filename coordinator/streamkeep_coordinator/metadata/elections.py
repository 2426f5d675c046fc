"""Who is in sync and who leads, given who is alive and how its disks are (KIP-966).

`elect` looks at one partition and says how it ought to stand now. It is declarative: asked after any change
of brokers it gives the same result in whatever order the changes came, and what is there if nothing changes.
Nobody comes into sync by it, except who is elected; that is proposed by leaders.

  a member of the in-sync set ...               ...
  whose broker is fenced                        leaves it
  whose directory is gone, or whose machine     leaves it, and is not eligible either: it may lack what was
  crashed with what it had not flushed          acknowledged
  whose directory is stalled                    leaves it if anybody in sync or eligible can lead instead
  whose broker is leaving                       the same
  whose directory is full                       leaves it if anybody with room stays in sync

If that leaves fewer than min ISR the high watermark is frozen. Who left has all that was acknowledged, so it
stays eligible (ELR) until enough are in sync again. The leader is, in this order: the present one; another
one in sync; an eligible one, which is then in sync alone; with the topic's consent to losing records any
replica that lives. If nobody is in sync or eligible any more, the last who were are kept as `last_members`.
So are all of them if one comes back from a crash while nobody leads: the others may have crashed with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from streamkeep_common.image import REPLICATION_FEATURE_LEVEL, ClusterImage, PartitionImage, Standing
from streamkeep_coordinator.metadata.members import has_directory, is_full, is_stalled, is_usable

NOBODY: frozenset[int] = frozenset()


def elect(
    image: ClusterImage,
    partition: PartitionImage,
    *,
    min_insync_replicas: int,
    unclean: bool = False,
    leaving: Collection[int] = NOBODY,
    rebooted: int = 0,
) -> Standing:
    """How the partition ought to stand. Its epochs and its number are not looked at.

    `unclean`: any replica may lead rather than none. `leaving`: brokers that are about to stop. `rebooted`:
    the broker (0 = none) whose copy may lack what it has acknowledged, since its machine crashed.
    """
    view = _View(image, partition, leaving)
    known = _members(partition, partition.isr, partition.elr)
    with_data = [each for each in known if each != rebooted and has_directory(image, partition, each)]
    isr = view.staying(with_data)
    leader = _choose_leader(partition, isr) or view.best(with_data)
    if not leader and unclean and (leader := view.best_of_any(known)):
        return election_of_last_resort(partition, leader)
    if not leader and rebooted in known:
        return _without_members(image, partition, known)
    isr = isr or ((leader,) if leader else ())
    elr = tuple(each for each in with_data if each not in isr)
    if len(isr) >= partition.required_isr(min_insync_replicas):
        elr = ()
    assert leader in isr if leader else not isr, f"leader {leader} of in-sync replicas {isr}"
    return Standing(isr, elr, leader) if isr or elr else _without_members(image, partition, known)


def election_of_last_resort(partition: PartitionImage, leader: int) -> Standing:
    """`leader` leads, whatever it lacks, and nobody else counts as having the data."""
    assert leader in partition.replicas, f"{leader} has no replica"
    return Standing((leader,), (), leader)


class _Trouble(NamedTuple):
    """What speaks against a replica that could lead; the least is the best."""

    stalled: bool
    leaving: bool
    full: bool


class _View:
    """The replicas of one partition as candidates."""

    def __init__(self, image: ClusterImage, partition: PartitionImage, leaving: Collection[int]) -> None:
        self._image = image
        self._partition = partition
        self._leaving = leaving

    def best(self, members: Iterable[int]) -> int:
        """The one of them that can lead best, the preferred leader first; 0 = none can."""
        usable = [each for each in members if is_usable(self._image, self._partition, each)]
        return min(usable, key=lambda each: (self._trouble(each), self._place(each)), default=0)

    def best_of_any(self, known: Sequence[int]) -> int:
        """As `best` of all replicas, whatever they lack; those that had the data last come first."""
        return self.best(known or self._partition.last_members) or self.best(self._partition.replicas)

    def staying(self, with_data: Sequence[int]) -> tuple[int, ...]:
        """Who of the in-sync members stays in sync."""
        usable = [each for each in with_data if is_usable(self._image, self._partition, each)]
        trouble = {each: self._trouble(each) for each in usable}
        isr = [each for each in self._partition.isr if each in trouble]
        if not all(trouble[each].stalled for each in usable):
            usable = [each for each in usable if not trouble[each].stalled]
            isr = [each for each in isr if each in usable]
        if not all(trouble[each].leaving for each in usable):
            isr = [each for each in isr if not trouble[each].leaving]
        with_room = [each for each in isr if not trouble[each].full]
        return tuple(with_room or isr)

    def _trouble(self, broker_id: int) -> _Trouble:
        return _Trouble(
            is_stalled(self._image, self._partition, broker_id),
            broker_id in self._leaving,
            is_full(self._image, self._partition, broker_id),
        )

    def _place(self, broker_id: int) -> int:
        return self._partition.replicas.index(broker_id)


def _members(partition: PartitionImage, *lists: Sequence[int]) -> tuple[int, ...]:
    """The replicas that stand in any of the lists, the preferred leader first."""
    return tuple(each for each in partition.replicas if any(each in members for members in lists))


def _choose_leader(partition: PartitionImage, isr: Collection[int]) -> int:
    """The present leader if it may stay, else the first replica that is in sync; 0 = none."""
    if partition.leader in isr:
        return partition.leader
    return next((member for member in partition.replicas if member in isr), 0)


def _without_members(image: ClusterImage, partition: PartitionImage, known: tuple[int, ...]) -> Standing:
    """Nobody has what was acknowledged: who had it last is kept, for the election of last resort.

    Below the level at which there is one, they stay listed as eligible, until their directories are back.
    """
    last = known or _members(partition, partition.last_members)
    if image.feature_level < REPLICATION_FEATURE_LEVEL:
        return Standing((), last, 0)
    return Standing((), (), 0, last)
