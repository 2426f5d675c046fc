"""Which change of the quorum is due. Pure: what the active coordinator sees in, the next quorum or None out.

One thing at a time, the most urgent first; the core refuses a second one before the first is committed. An
emptied directory is replaced in one step, because no voter is exchanged by it: the old directory's vote goes,
and the new one comes as a learner (thesis 4.2.1). It votes when it has caught up, which is the next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamkeep_common.errors import InvalidQuorumChangeError
from streamkeep_coordinator.raft import MemberProgress, ProgressState, RaftStatus
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello

PROMOTION_LAG = 100
"""Entries that a learner may still lack when it is given a vote: what is proposed while it is asked."""

REPLACE_AFTER_TIMEOUTS = 2
"""Election timeouts for which the old directory must have been silent before another takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the active coordinator sees. `own` is how it would be listed itself, its voter flag ignored.

    `greetings` are the newest hellos by coordinator id; `strangers` the directories that answer at the
    addresses of members, in place of the ones that are listed, and belong to no other cluster.
    """

    quorum: QuorumRecord
    status: RaftStatus
    own: QuorumMember
    greetings: Mapping[int, RaftHello]
    strangers: Mapping[int, bytes]
    feature_level: int
    election_ticks: int


def next_change(view: View) -> QuorumRecord | None:
    """The next quorum, or None if this one is as it should be."""
    progress = {member.coordinator_id: member for member in view.status.members}
    return _described_anew(view) or _replaced(view, progress) or _promoted(view, progress)


def with_learner(quorum: QuorumRecord, member: QuorumMember) -> QuorumRecord:
    """The quorum and a new member. InvalidQuorumChangeError if there is one of that id."""
    if any(each.coordinator_id == member.coordinator_id for each in quorum.members):
        raise InvalidQuorumChangeError(f"coordinator {member.coordinator_id} is a member already")
    return _quorum(quorum, [*quorum.members, member])


def without(quorum: QuorumRecord, coordinator_id: int) -> QuorumRecord:
    """The quorum but for one member. InvalidQuorumChangeError if it is none, or the last voter."""
    staying = [each for each in quorum.members if each.coordinator_id != coordinator_id]
    if len(staying) == len(quorum.members):
        raise InvalidQuorumChangeError(f"coordinator {coordinator_id} is no member")
    if not any(each.voter for each in staying):
        raise InvalidQuorumChangeError(f"coordinator {coordinator_id} is the last voter")
    return _quorum(quorum, staying)


def _described_anew(view: View) -> QuorumRecord | None:
    """Somebody has another address or supports other feature levels than is written."""
    for member in view.quorum.members:
        news = _news_of(member, view)
        if news != member:
            return _exchanged(view.quorum, news)
    return None


def _news_of(member: QuorumMember, view: View) -> QuorumMember:
    said: QuorumMember | RaftHello | None = view.greetings.get(member.coordinator_id)
    if member.coordinator_id == view.own.coordinator_id:
        said = view.own
    if said is None or said.directory_id != member.directory_id:
        return member
    return QuorumMember(
        coordinator_id=member.coordinator_id,
        directory_id=member.directory_id,
        address=said.address or member.address,
        voter=member.voter,
        min_feature_level=said.min_feature_level,
        max_feature_level=said.max_feature_level,
    )


def _replaced(view: View, progress: Mapping[int, MemberProgress]) -> QuorumRecord | None:
    for member in view.quorum.members:
        directory_id = view.strangers.get(member.coordinator_id, member.directory_id)
        seen = progress.get(member.coordinator_id)
        if directory_id == member.directory_id or seen is None:
            continue
        silent = seen.silent_ticks >= REPLACE_AFTER_TIMEOUTS * view.election_ticks
        if silent and _can_do_without(member, progress.values()):
            learner = QuorumMember()
            learner.CopyFrom(member)
            learner.directory_id, learner.voter = directory_id, False
            return _exchanged(view.quorum, learner)
    return None


def _can_do_without(member: QuorumMember, progress: Iterable[MemberProgress]) -> bool:
    """A majority of the voters that stay answers."""
    staying = [each for each in progress if each.voter and each.coordinator_id != member.coordinator_id]
    return sum(each.recently_active for each in staying) > len(staying) // 2


def _promoted(view: View, progress: Mapping[int, MemberProgress]) -> QuorumRecord | None:
    for member in view.quorum.members:
        seen = progress.get(member.coordinator_id)
        if member.voter or seen is None or not _has_caught_up(seen):
            continue
        if member.min_feature_level <= view.feature_level <= member.max_feature_level:
            voter = QuorumMember()
            voter.CopyFrom(member)
            voter.voter = True
            return _exchanged(view.quorum, voter)
    return None


def _has_caught_up(seen: MemberProgress) -> bool:
    return seen.recently_active and seen.state is ProgressState.REPLICATE and seen.lag <= PROMOTION_LAG


def _exchanged(quorum: QuorumRecord, member: QuorumMember) -> QuorumRecord:
    others = [each for each in quorum.members if each.coordinator_id != member.coordinator_id]
    return _quorum(quorum, [*others, member])


def _quorum(before: QuorumRecord, members: Iterable[QuorumMember]) -> QuorumRecord:
    in_order = sorted(members, key=lambda member: member.coordinator_id)
    return QuorumRecord(cluster_epoch=before.cluster_epoch, members=in_order)
