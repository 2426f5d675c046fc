"""How a log's leader epochs come to their file while it is written: a line for each, appended.

What recovery finds there it reads, or writes anew, by `recovered_states`.
"""

from __future__ import annotations

from pathlib import Path

from streamkeep_broker.log.files import LEADER_EPOCHS_NAME, OUT_OF_SPACE, Files
from streamkeep_broker.log.leader_epochs import LeaderEpochs
from streamkeep_common.seams import DiskFile


def append_epochs(files: Files, directory: Path, epochs: LeaderEpochs, unsynced: list[DiskFile]) -> None:
    """Append what is new to the log's file in `directory`, which is one of `unsynced` then. Raises OSError.

    On a full disk it waits for the next time: frames carry their epoch too.
    """
    file = files.open(directory / LEADER_EPOCHS_NAME, create=True)
    size = file.size()
    unsynced.append(file)
    try:
        file.append([epochs.unsaved()])
    except OSError as error:
        if error.errno not in OUT_OF_SPACE:
            raise
        file.truncate(size)
        return
    epochs.saved()
