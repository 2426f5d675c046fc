"""Completion in bash, which cuts words at `=` and `:` before it asks, and wants what belongs behind the cut.

So `--set durability=o` comes as four words, and the answer is `os`; other shells send and get the whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

CUTS = frozenset("=:")
"""Of COMP_WORDBREAKS, those that stand inside words of ours."""

SCRIPT = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" %(complete_var)s=bash_complete "$1")
    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class TypedLine(NamedTuple):
    """What was typed: `incomplete` is the last word, of which bash keeps `kept` as it is."""

    complete: list[str]
    incomplete: str
    kept: str


def typed(words: Sequence[str], current: int) -> TypedLine:
    """The line that bash cut into these words, up to the one with the index `current`. Pure.

    A cut is a word of nothing but such signs; what stands before and behind it belongs together.
    """
    joined: list[str] = []
    kept, is_behind_a_cut = "", False
    for word in words[: current + 1]:
        is_cut = bool(word) and CUTS.issuperset(word)
        if joined and (is_cut or is_behind_a_cut):
            kept = joined[-1] + word if is_cut else joined[-1]
            joined[-1] += word
        else:
            kept = ""
            joined.append(word)
        is_behind_a_cut = is_cut
    if current >= len(words):
        return TypedLine(joined, "", "")
    return TypedLine(joined[:-1], joined[-1], kept)


class Bash(BashComplete):
    """Puts words together again, and answers with what is missing."""

    source_template = SCRIPT
    _kept = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = typed(split_arg_string(os.environ["COMP_WORDS"]), int(os.environ["COMP_CWORD"]))
        is_option = line.kept.startswith("-")
        self._kept = line.kept.partition("=")[2] if is_option else line.kept
        return line.complete[1:], line.incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{str(item.value).removeprefix(self._kept)}"


def register() -> None:
    """From now on click answers bash in this way."""
    add_completion_class(Bash)
