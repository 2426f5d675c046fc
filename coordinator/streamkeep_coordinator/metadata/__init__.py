"""The metadata state machine, pure: a command and the image in, records and an answer out.

Nothing here waits, reads a clock or draws a random number. A command is decided against the newest image
there is, committed or not; its answer may leave only when the records, and all before them, are committed.
"""

from streamkeep_coordinator.metadata.decision import Command, Decision

__all__ = ["Command", "Decision"]
