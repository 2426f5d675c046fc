"""Where a follower's log parts from its leader's, by leader epochs and never by the watermark. Pure.

KIP-101 and KIP-279: the follower names the epoch of its last record and where its log ends; if the leader's
log has that epoch at least as far, everything before is the same.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streamkeep_broker.log.leader_epochs import EpochEnd
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset


class LeaderLog(Protocol):
    """What the check asks of the leader's log."""

    @property
    def log_start_offset(self) -> int: ...

    @property
    def log_end_offset(self) -> int: ...

    def epoch_end(self, leader_epoch: int) -> EpochEnd:
        """The greatest epoch up to that one, and where it ends; epoch 0 if there is none."""
        ...


class Begin(NamedTuple):
    """The follower has a prefix of the leader's log: go on at its end."""


class BeginIfFrame(NamedTuple):
    """The follower has no record: go on at its end if a frame begins there, else at the leader's start."""


class Restart(NamedTuple):
    """The follower lacks what the leader has deleted already: it begins anew where the leader begins."""


Verdict = Begin | BeginIfFrame | Restart | EpochEndOffset


def check_start(log: LeaderLog, *, log_end_offset: int, last_epoch: int) -> Verdict:
    """Judge a follower whose log ends at `log_end_offset` with a record of `last_epoch`, 0 = no record.

    An EpochEndOffset says where the logs part at the latest.
    """
    if log_end_offset < log.log_start_offset:
        return Restart()
    if not last_epoch:
        if log_end_offset == log.log_end_offset:
            return Begin()
        return BeginIfFrame() if log_end_offset < log.log_end_offset else Restart()
    known = log.epoch_end(last_epoch)
    if known.epoch < last_epoch or known.end_offset < log_end_offset:
        return EpochEndOffset(leader_epoch=known.epoch, end_offset=known.end_offset)
    return Begin()
