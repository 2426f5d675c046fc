"""Write docs/settings.md from the tables in code, or check that it is fresh.

`python scripts/settings_doc.py` writes it; with `--check` the exit status is 1 if it differs.
"""

from __future__ import annotations

import sys

from documents import ROOT, keep

from streamkeep_common.settings import BROKER_SETTINGS, COORDINATOR_SETTINGS, TOPIC_SETTINGS

DOCUMENT = ROOT / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

Written by `scripts/settings_doc.py` from the tables in `client/streamkeep_common/settings`; do not edit.

A name ends in its unit. Durations are milliseconds, or a number with `ms`, `s`, `m`, `h` or `d`; sizes are
bytes, or a number with `B`, `KiB`, `MiB`, `GiB` or `TiB`. Lists are separated by commas.

**Topics** take their settings when they are created, and may change them later. **Servers** read theirs when
they start. Each comes from the first of these that has it: the command line (`--data-dirs`), the environment
(`STREAMKEEP_BROKER_DATA_DIRS`), the settings file (`data_dirs` in the `[broker]` section of a TOML file), the
default.
"""


def document() -> str:
    tables = [TOPIC_SETTINGS, BROKER_SETTINGS, COORDINATOR_SETTINGS]
    return "\n".join([INTRODUCTION, *(table.document() for table in tables)])


def main() -> int:
    return keep(DOCUMENT, document(), description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
