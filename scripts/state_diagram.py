"""Draw the roles of a Raft node into ARCHITECTURE.md from the table in code, or check that the drawing is
fresh.

`python scripts/state_diagram.py` writes it between `<!-- roles -->` and `<!-- /roles -->`; with `--check` the
exit status is 1 if it differs.
"""

from __future__ import annotations

import sys

from documents import ROOT, keep

from streamkeep_coordinator.raft.roles import TRANSITIONS, Role

DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- roles -->\n", "<!-- /roles -->\n"


def diagram() -> str:
    arrows: dict[tuple[Role, Role], list[str]] = {}
    for (role, event), following in TRANSITIONS.items():
        arrows.setdefault((role, following), []).append(event.value)
    lines = [f"    {_name(role)}: {role.value}" for role in Role]
    lines.append(f"    [*] --> {_name(Role.FOLLOWER)}: starts")
    for (role, following), events in arrows.items():
        lines += [f"    {_name(role)} --> {_name(following)}: {event}" for event in events]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def drawn(document: str) -> str:
    """The document with the diagram of now. ValueError if it has no place for one."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"ARCHITECTURE.md lacks {BEGIN.strip()} or {END.strip()}")
    return before + begin + diagram() + end + after


def _name(role: Role) -> str:
    return role.name.title().replace("_", "")


def main() -> int:
    return keep(DOCUMENT, drawn(DOCUMENT.read_text(encoding="utf-8")), description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
