"""Why the core refuses a call, and what it must never see. The shell translates them for those who asked."""

from __future__ import annotations


class RaftError(Exception):
    """Base of all of these."""


class NotLeaderError(RaftError):
    """Only a leader can do this, and for a read somebody must be known to lead."""


class TransferInProgressError(RaftError):
    """Leadership is being handed over: nothing is proposed meanwhile."""


class TooMuchUncommittedError(RaftError):
    """More proposals wait for a majority than may."""


class QuorumChangeError(RaftError):
    """This change of the quorum, or this transfer, is not allowed now."""


class RaftInvariantError(RaftError):
    """A promise that everything rests on is broken. The process must stop: going on could lose what was
    committed.
    """


class LostEntriesError(RaftInvariantError):
    """This node has acknowledged entries that its disk has not got any more: an old copy of the directory, or
    a disk that lies. It has forgotten what it promised, and must not go on as who it was.
    """
