"""Completion in bash, zsh and fish: what each sends of a line, and what it wants back.

The answer for `--set=durability=o` is `durability=os`. zsh and fish put it in the place of the whole word, so
what stands before it is put there again; behind a setting's `=` there is no blank. bash cuts words at `=` and
`:` before it asks, sends four here, and wants what belongs behind the cut: `os`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

CUTS = frozenset("=:")
"""Of COMP_WORDBREAKS, those that stand inside words of ours."""

BASH_SCRIPT = """\
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

ZSH_SCRIPT = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local type key help
    local -a answer plain open described
    (( ! $+commands[%(prog_name)s] )) && return 1
    answer=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s)}")
    compset -P 1 '--*='
    for type key help in $answer; do
        case $type in
            plain) if [[ $help != _ ]]; then described+=("$key:$help")
                elif [[ $key == *= ]]; then open+=("$key")
                else plain+=("$key"); fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described
    (( $#open )) && compadd -S '' -V unsorted -a open
    (( $#plain )) && compadd -V unsorted -a plain
}

compdef %(complete_func)s %(prog_name)s
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"; fi
"""

FISH_SCRIPT = """\
function %(complete_func)s
    set -l before (string match -r -- '^--[^=]*=' (commandline -t); or echo)
    for answer in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
            COMP_CWORD=(commandline -t) %(prog_name)s)
        set -l parts (string split -m 1 -- , $answer)
        switch $parts[1]
            case plain
                echo -- $before$parts[2]
            case dir
                printf '%%s\\n' $before(__fish_complete_directories $parts[2])
            case file
                printf '%%s\\n' $before(__fish_complete_path $parts[2])
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
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

    source_template = BASH_SCRIPT
    _kept = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = typed(split_arg_string(os.environ["COMP_WORDS"]), int(os.environ["COMP_CWORD"]))
        is_option = line.kept.startswith("-")
        self._kept = line.kept.partition("=")[2] if is_option else line.kept
        return line.complete[1:], line.incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{str(item.value).removeprefix(self._kept)}"


class Zsh(ZshComplete):
    """With our script."""

    source_template = ZSH_SCRIPT


class Fish(FishComplete):
    """With our script."""

    source_template = FISH_SCRIPT


def register() -> None:
    """From now on click answers in this way."""
    for kind in (Bash, Zsh, Fish):
        add_completion_class(kind)
