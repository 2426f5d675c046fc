"""What the `streamctl` script calls: the command line, if what it needs is installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exit code 1 with a sentence if the [cli] extra is missing, 130 if Ctrl-C comes
    while what it needs is being loaded."""
    try:
        from streamctl.main import main as run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("streamctl is not installed whole: pip install '/path/to/streamkeep[cli,server]'")
    except KeyboardInterrupt:
        sys.exit(130)
    run()
