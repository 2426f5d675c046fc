"""Raft, pure: Ongaro's thesis (2014) with pre-vote, check-quorum, ReadIndex, learners and leadership
transfer.

Nothing here waits, reads a clock, draws from a random source of its own, or touches a disk or a network. See
`node` for how it is driven and where each rule is.
"""

from streamkeep_coordinator.raft.config import HardState, RaftConfig
from streamkeep_coordinator.raft.errors import (
    LostEntriesError,
    NotLeaderError,
    QuorumChangeError,
    RaftError,
    RaftInvariantError,
    TooMuchUncommittedError,
    TransferInProgressError,
)
from streamkeep_coordinator.raft.log import RaftLog
from streamkeep_coordinator.raft.node import RaftNode
from streamkeep_coordinator.raft.progress import ProgressState
from streamkeep_coordinator.raft.ready import MemberProgress, RaftStatus, Ready, Write
from streamkeep_coordinator.raft.roles import Role

__all__ = [
    "HardState",
    "LostEntriesError",
    "MemberProgress",
    "NotLeaderError",
    "ProgressState",
    "QuorumChangeError",
    "RaftConfig",
    "RaftError",
    "RaftInvariantError",
    "RaftLog",
    "RaftNode",
    "RaftStatus",
    "Ready",
    "Role",
    "TooMuchUncommittedError",
    "TransferInProgressError",
    "Write",
]
