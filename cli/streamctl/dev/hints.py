"""The next command as it can be typed here: by the name that is found, with no option that is not needed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from streamctl.dev.store import default_data_dir

NAME = "streamctl"


def typed(words: str) -> str:
    """`streamctl topic list`, or `.venv/bin/streamctl topic list` where that is how it was called and no
    other is on the PATH."""
    called = sys.argv[0]
    by_path = Path(called).name == NAME and shutil.which(NAME) is None
    return f"`{shlex.quote(called) if by_path else NAME} {words}`"


def data_dir_option(data_dir: Path) -> str:
    """Nothing for the default one."""
    return "" if data_dir == default_data_dir() else f" --data-dir {shlex.quote(str(data_dir))}"
