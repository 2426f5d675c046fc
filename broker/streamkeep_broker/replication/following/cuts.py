"""Where a follower's log parts from its leader's, and what goes (KIP-101, KIP-279). Pure.

The follower says the epoch of its last record; the leader answers with the greatest epoch that it knows up to
that one, and where it ends. Never is anything cut by the high watermark: that is only ever a guess.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streamkeep_broker.log.leader_epochs import EpochEnd
from streamkeep_common.errors import UnknownServerError
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset


class FollowerLog(Protocol):
    """What the rules ask of the follower's own log."""

    @property
    def log_start_offset(self) -> int: ...

    @property
    def log_end_offset(self) -> int: ...

    @property
    def last_epoch(self) -> int:
        """Leader epoch of the last record, 0 if there is none."""
        ...

    def epoch_end(self, leader_epoch: int) -> EpochEnd:
        """The greatest own epoch up to that one, and where it ends; with 0, where the log begins."""
        ...


class CutTo(NamedTuple):
    """Cut the log back: `offset` is its new end."""

    offset: int


class BeginAnew(NamedTuple):
    """Drop everything: the log is empty, and begins and ends at `offset`."""

    offset: int


def after_divergence(log: FollowerLog, answer: EpochEndOffset) -> CutTo | BeginAnew:
    """What to do before asking again. Whatever that is, the log has less than it had, so asking ends.

    Raises UnknownServerError for an answer that does not say that the logs part.
    """
    if not _parts(log, answer):
        raise UnknownServerError(
            f"the leader says that the logs part, and that its epoch {answer.leader_epoch} ends at offset "
            f"{answer.end_offset}; ours ends at {log.log_end_offset} in epoch {log.last_epoch}"
        )
    if not answer.leader_epoch:
        # Of the epochs here the leader knows none any more: they were deleted there, or were never there. So
        # its first record takes the place of whatever is here, and what is here is not missed: had anything
        # at or above that offset been acknowledged, the leader would have it and know its epoch.
        return BeginAnew(answer.end_offset)
    own_end = log.epoch_end(answer.leader_epoch).end_offset
    offset = min(answer.end_offset, own_end, log.log_end_offset)
    assert offset < log.log_end_offset, "to cut nothing would be to ask the same again"
    return BeginAnew(offset) if offset < log.log_start_offset else CutTo(offset)


def after_restart(log: FollowerLog, offset: int) -> BeginAnew:
    """What to do when the leader has nothing of what would be needed.

    Raises UnknownServerError if just that was done already: doing it again would go on for ever.
    """
    is_done = not log.last_epoch and log.log_start_offset == log.log_end_offset == offset
    if offset < 0 or is_done:
        raise UnknownServerError(f"the leader says to begin anew at offset {offset}, where this log begins")
    return BeginAnew(offset)


def _parts(log: FollowerLog, answer: EpochEndOffset) -> bool:
    if answer.end_offset < 0 or not 0 <= answer.leader_epoch <= log.last_epoch or not log.last_epoch:
        return False
    return answer.leader_epoch < log.last_epoch or answer.end_offset < log.log_end_offset
