"""zsh and fish themselves, where they are installed: they read their scripts and complete names with them."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.cli.fake_admin import streamctl

DEADLINE_S = 30
LINES = [
    ("context use prod", "context use production"),
    ("topic alter t --set durability=f", "topic alter t --set durability=fsync"),
    ("topic alter t --set=durability=f", "topic alter t --set=durability=fsync"),
    ("topic alter t --set dura", "topic alter t --set durability="),
    ("topic list --output=js", "topic list --output=json"),
    ("produce --file=day", "produce --file=day.txt"),
]
"""What is typed, and what stands there after a tab; a setting waits for its value right behind the sign."""

COMPLETION = "autoload -Uz compinit; compinit -u -D"
SHOW = "show() { print; print -r -- \"line[$BUFFER]\"; BUFFER= }; zle -N show; bindkey '^G' show"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A context whose name is completed, a file, and the program where a shell finds it."""
    streamctl("context", "add", "production", "localhost:7101")
    (tmp_path / "day.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path


def script_for(shell: str, directory: Path) -> Path:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    path = directory / f"completion.{shell}"
    path.write_text(streamctl("completion", shell).stdout)
    return path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_read_its_script(home: Path, shell: str) -> None:
    done = subprocess.run([shell, "-n", script_for(shell, home)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("line", "completed"), LINES)
def test_fish_completes_names_and_keeps_what_stands_before_them(
    home: Path, line: str, completed: str
) -> None:
    commands = f"source {script_for('fish', home)}; complete -C 'streamctl {line}'"
    done = subprocess.run(["fish", "-c", commands], capture_output=True, text=True, check=True)
    assert done.stdout.partition("\t")[0].rstrip("\n") == completed.rsplit(maxsplit=1)[-1]


def test_fish_shows_the_whole_sentence_about_a_command(home: Path) -> None:
    commands = f"source {script_for('fish', home)}; complete -C 'streamctl topi'"
    done = subprocess.run(["fish", "-c", commands], capture_output=True, text=True, check=True)
    assert done.stdout == "topic\tCreate, list, describe, alter and delete topics.\n"


def test_zsh_completes_names_and_keeps_what_stands_before_them(home: Path) -> None:
    with zsh(home, f"{COMPLETION}; source {script_for('zsh', home)}") as terminal:
        completed = [tab(terminal, f"streamctl {line}") for line, _ in LINES]
    assert [line.removesuffix(" ") for line in completed] == [f"streamctl {line}" for _, line in LINES]


def test_zsh_completes_with_a_script_that_it_finds_itself_every_time(home: Path) -> None:
    script_for("zsh", home).rename(home / "_streamctl")
    with zsh(home, f"fpath=({home} $fpath); {COMPLETION}") as terminal:
        completed = [tab(terminal, "streamctl context use prod") for _ in range(2)]
    assert completed == ["streamctl context use production "] * 2


# --- a zsh that takes itself for one that somebody types into ---


@contextmanager
def zsh(home: Path, setup: str) -> Iterator[int]:
    """The terminal to type into; Ctrl-G says and takes away what stands in the line."""
    (home / ".zshrc").write_text(f"PS1=type:\n{setup}\n{SHOW}\n")
    ours, theirs = os.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    variables = os.environ | {"TERM": "dumb", "ZDOTDIR": str(home)}
    with subprocess.Popen(["zsh", "-d", "-i"], **streams, env=variables, start_new_session=True) as shell:
        os.close(theirs)
        try:
            said(ours, "type:")
            yield ours
        finally:
            shell.kill()
            os.close(ours)


def tab(terminal: int, typed: str) -> str:
    os.write(terminal, f"{typed}\t\x07".encode())
    return said(terminal, r"line\[(.*)\]").group(1)


def said(terminal: int, pattern: str) -> re.Match[str]:
    """Wait until the shell has said it."""
    seen = ""
    while (found := re.search(pattern, seen)) is None:
        assert select.select([terminal], [], [], DEADLINE_S)[0], seen
        seen += os.read(terminal, 4_096).decode(errors="replace")
    return found
