"""The `streamctl` script where the package was installed without its command line."""

from __future__ import annotations

import subprocess
import sys


def test_without_the_cli_extra_one_sentence_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from streamctl.entry import main; main()"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "streamctl is not installed whole: pip install 'streamkeep[cli,server]'\n"
