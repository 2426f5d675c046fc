"""Run the demo, and draw what a terminal shows of it into docs/demo.svg.

`python scripts/demo_picture.py` does both. It needs `streamctl` beside the interpreter, and a few seconds.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"
COMMAND = "streamctl demo"
WIDTH = 104
"""Columns; the longest line of the demo has 100."""


def said() -> str:
    """All that the demo prints, in the order of a terminal. CalledProcessError if it fails."""
    streamctl = Path(sys.executable).parent / "streamctl"
    done = subprocess.run(
        [streamctl, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def picture(text: str) -> str:
    """The text in a terminal's window, as SVG; what the reader is to see stands out."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    drawn = Text(text.rstrip())
    drawn.highlight_regex(r"kill -9[^.]*|killed with -9", "red")
    drawn.highlight_regex(r"[\d.]+ s\b", "yellow")
    drawn.highlight_regex(r"27,004 of 27,004.*", "bold green")
    drawn.highlight_regex(r"CARRIER.*", "bold")
    console.print(drawn)
    return console.export_svg(title=COMMAND, theme=DIMMED_MONOKAI, unique_id="demo")


def main() -> None:
    PICTURE.write_text(picture(said()), encoding="utf-8")
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
