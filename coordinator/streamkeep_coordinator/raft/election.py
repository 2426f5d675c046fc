"""How a leader comes to be: the election timeout, the pre-vote, the vote (thesis 3.4, 3.6.1, 4.2.3, 9.6).

A voter refuses while it hears a leader, so that a node that cannot hear it, or was removed, disturbs nobody
(4.2.3); and nobody raises its term before a majority has said that it would win (9.6).
"""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.majority import Verdict, verdict
from streamkeep_coordinator.raft.proposals import append_no_op
from streamkeep_coordinator.raft.roles import Event, Role
from streamkeep_proto.v1.raft_pb2 import RaftMessage, VoteRequest, VoteResponse


def tick(core: Core) -> None:
    """Of a node that does not lead."""
    core.quiet_ticks += 1
    if not core.may_campaign:
        return
    is_alone = core.members.voters == (core.id,) and core.role is Role.FOLLOWER
    if is_alone or core.quiet_ticks >= core.timeout_ticks:
        _ask(core)


def hears_leader(core: Core) -> bool:
    """Within the shortest election timeout. A leader hears itself: if no majority answers, it ceases to be
    one.
    """
    return core.leader != 0 and (core.role is Role.LEADER or core.quiet_ticks < core.config.election_ticks)


def campaign(core: Core, event: Event, *, is_transfer: bool = False) -> None:
    """Thesis 3.4. The requests and the own vote wait until that vote is durable."""
    core.change_role(event)
    core.campaign_term()
    for voter in core.members.voters:
        if voter != core.id:
            core.promise(
                voter, core.members.directory_id(voter), vote_request=_request(core, is_transfer=is_transfer)
            )


def own_vote_is_durable(core: Core) -> None:
    core.ballots[core.id] = True
    _count(core)


def on_timeout_now(core: Core, message: RaftMessage) -> None:
    """Thesis 3.10. There is no pre-vote: the others still hear the leader that asked for it."""
    core.follow(message)
    if core.may_campaign:
        campaign(core, Event.TOLD_TO_CAMPAIGN, is_transfer=True)


def on_vote_request(core: Core, message: RaftMessage) -> None:
    request = message.vote_request
    if not _would_vote(core, message):
        response = VoteResponse(pre_vote=request.pre_vote, granted=False)
        core.answer(message, vote_response=response)
    elif request.pre_vote:
        core.answer(message, term=message.term, vote_response=VoteResponse(pre_vote=True, granted=True))
    else:
        core.vote = message.sender
        core.quiet_ticks = 0
        core.promise_answer(message, vote_response=VoteResponse(granted=True))


def on_vote_response(core: Core, message: RaftMessage) -> None:
    """A late answer to an earlier campaign has another term, or another role finds it."""
    response = message.vote_response
    asked = Role.PRE_CANDIDATE if response.pre_vote else Role.CANDIDATE
    is_of_this = not (response.pre_vote and response.granted) or message.term == core.term + 1
    if core.role is asked and is_of_this:
        core.ballots.setdefault(message.sender, response.granted)
        _count(core)


def _ask(core: Core) -> None:
    core.change_role(Event.ELECTION_TIMEOUT)
    core.lose_leader()
    core.ballots[core.id] = True
    request = _request(core, pre_vote=True)
    for voter in core.members.voters:
        if voter != core.id:
            core.send(voter, core.members.directory_id(voter), term=core.term + 1, vote_request=request)
    _count(core)


def _request(core: Core, *, pre_vote: bool = False, is_transfer: bool = False) -> VoteRequest:
    return VoteRequest(
        pre_vote=pre_vote,
        last_index=core.log.last_index,
        last_term=core.log.last_term,
        is_transfer=is_transfer,
    )


def _would_vote(core: Core, message: RaftMessage) -> bool:
    request = message.vote_request
    is_free = core.vote == message.sender or (core.vote == 0 and core.leader == 0)
    is_free = is_free or (request.pre_vote and message.term > core.term)
    is_heeded = request.is_transfer or not hears_leader(core)
    return is_free and is_heeded and core.log.is_up_to_date(request.last_index, request.last_term)


def _count(core: Core) -> None:
    outcome = verdict(core.members.voters, core.ballots)
    if outcome is Verdict.LOST:
        core.change_role(Event.VOTES_LOST)
    elif outcome is Verdict.WON and core.role is Role.PRE_CANDIDATE:
        campaign(core, Event.PRE_VOTES_WON)
    elif outcome is Verdict.WON:
        _lead(core)


def _lead(core: Core) -> None:
    """Thesis 3.4 and 6.4: the term begins with an entry of its own."""
    core.change_role(Event.VOTES_WON)
    core.leader, core.leader_directory_id = core.id, core.config.directory_id
    core.leadership = Leadership(no_op_index=core.log.last_index + 1)
    core.refresh_members()
    append_no_op(core)
