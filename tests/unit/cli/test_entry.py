"""The `streamctl` script where the package was installed without its command line."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_without_the_cli_extra_one_sentence_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from streamctl.entry import main; main()"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "streamctl is not installed whole: pip install '/path/to/streamkeep[cli,server]'\n"


@pytest.mark.parametrize("module", ["streamctl.main", "click.core"])
def test_an_interruption_while_the_program_is_loaded_is_one_like_any_other(module: str) -> None:
    """Ctrl-C comes when it likes. Something that is imported meanwhile raises it."""
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from streamctl.entry import main; main()"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")


def test_an_interruption_before_the_command_runs_is_one_like_any_other() -> None:
    """Not what click makes of it: "Aborted!" and 1, as if a question had been answered with no."""
    program = (
        "import sys\n"
        "from streamctl import groups\n"
        "def interrupted(*_): raise KeyboardInterrupt\n"
        "groups.RootGroup.parse_args = interrupted\n"
        "sys.argv = ['streamctl', 'version']\n"
        "from streamctl.entry import main; main()"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")
