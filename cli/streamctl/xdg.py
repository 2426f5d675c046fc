"""Where a user's files are, by the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path


def base_directory(variable: str, fallback: str) -> Path:
    """What the variable says if that is absolute, as the specification wants; else `fallback` under home."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback
