"""`streamctl context`: clusters by name, and which of them commands speak to."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

import click

from streamctl.contexts.file import Context, Contexts, changing, config_path, read_contexts
from streamctl.failures import CommandError, ExitCode
from streamctl.groups import NounGroup
from streamctl.invocation import (
    Invocation,
    cluster_options,
    complete_context,
    local_list_options,
    local_options,
    pass_invocation,
    yes_option,
)
from streamctl.output import Table, confirm, emit, is_colourful, note

_name = click.argument("name", metavar="NAME", shell_complete=complete_context)
_new_name = click.argument("name", metavar="NAME")


@click.group(cls=NounGroup)
def context() -> None:
    """Name clusters, and choose the one that commands speak to."""


@context.command("list")
@local_list_options
@pass_invocation
def list_(invocation: Invocation, /) -> None:
    """List the contexts; `*` is the one in use, `-` the one before it. Dangerous ones are red."""
    known = read_contexts(config_path())
    rows = [
        (_mark(known, each), _coloured(each), each.bootstrap, "danger" if each.danger else None)
        for each in known.by_name.values()
    ]
    data = [_fields(known, each) for each in known.by_name.values()]
    emit(invocation, data, Table(("", "CONTEXT", "BOOTSTRAP", "DANGER"), rows), names=list(known.by_name))


def _mark(known: Contexts, each: Context) -> str:
    return {known.previous: "-", known.current: "*"}.get(each.name, "")


def _coloured(each: Context) -> str:
    return click.style(each.name, fg="red") if each.danger and is_colourful(sys.stdout) else each.name


def _fields(known: Contexts, each: Context) -> dict[str, object]:
    return {
        "name": each.name,
        "bootstrap": each.bootstrap,
        "danger": each.danger,
        "current": each.name == known.current,
        "previous": each.name == known.previous,
    }


def _refuse_bootstrap(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Who types it as with all other commands is told where it stands here."""
    if value is not None:
        raise click.UsageError(
            f"the addresses stand behind the name, as in `{context.command_path} test {value}`", context
        )


@context.command()
@_new_name
@click.argument("bootstrap", metavar="HOST:PORT,...")
@click.option(
    "-b",
    "--bootstrap",
    "misplaced",
    hidden=True,
    is_eager=True,
    expose_value=False,
    callback=_refuse_bootstrap,
)
@click.option("--danger", is_flag=True, help="Show it in red, and ask for its name before destroying.")
@click.option("--use", "is_used", is_flag=True, help="Use it from now on.")
@click.option("--replace", "is_replaced", is_flag=True, help="Take the place of the context of this name.")
@local_options
@pass_invocation
def add(
    invocation: Invocation,
    /,
    *,
    name: str,
    bootstrap: str,
    danger: bool,
    is_used: bool,
    is_replaced: bool,
) -> None:
    """Name a cluster by addresses of its coordinators. Nobody is asked whether it is there.

    \b
    streamctl context add test localhost:7101 --use
    streamctl context add prod a:7101,b:7101,c:7101 --danger
    """
    _check(name, bootstrap)
    with changing(config_path()) as change:
        known = change.contexts
        if name in known.by_name and not is_replaced:
            raise CommandError(
                f"there is a context '{name}' already, at {known.by_name[name].bootstrap}: take another name,"
                " or say --replace"
            )
        known = replace(known, by_name={**known.by_name, name: Context(name, bootstrap, danger)})
        change.contexts = _used(known, name) if is_used else known
    if is_used:
        note(f"Context '{name}' is in use.")
    else:
        use = f"`streamctl context use {shlex.quote(name)}`"
        note(f"Context '{name}' is known; {use} lets commands speak to it.")
    if invocation.is_data:
        emit(invocation, _fields(change.contexts, change.contexts.by_name[name]))


def _check(name: str, bootstrap: str) -> None:
    from streamkeep_common.settings.types import AddressList

    if not name.isprintable() or not name.strip() or name.startswith("-"):
        raise click.UsageError(f"{name!r} is no name: it begins with a letter or digit, and can be seen")
    try:
        AddressList().parse(bootstrap)
    except ValueError as error:
        raise click.UsageError(f"{bootstrap!r} is not HOST:PORT,...: {error}") from error


def _used(known: Contexts, name: str) -> Contexts:
    if name == known.current:
        return known
    return replace(known, current=known.find(name).name, previous=known.current)


@context.command()
@click.argument("name", metavar="NAME | -", shell_complete=complete_context)
@local_options
@pass_invocation
def use(invocation: Invocation, /, *, name: str) -> None:
    """Make commands speak to this context from now on; `-` is the one that was used before.

    --bootstrap, --context, STREAMKEEP_BOOTSTRAP and STREAMCTL_CONTEXT win over it.
    """
    with changing(config_path()) as change:
        if name == "-" and not change.contexts.previous:
            raise CommandError("no context was used before this one", ExitCode.NOT_FOUND)
        change.contexts = _used(change.contexts, change.contexts.previous if name == "-" else name)
    used = change.contexts.by_name[change.contexts.current]
    note(f"Context '{used.name}' is in use: {used.bootstrap}{', dangerous' if used.danger else ''}.")
    if invocation.is_data:
        emit(invocation, _fields(change.contexts, used))


@context.command()
@_name
@yes_option
@local_options
@pass_invocation
def remove(invocation: Invocation, /, *, name: str, yes: bool) -> None:
    """Forget a context; nothing happens to the cluster. Asks first, on a terminal."""
    found = read_contexts(config_path()).find(name)
    confirm(f"Forget context '{name}' at {found.bootstrap}?", yes=yes)
    with changing(config_path()) as change:
        known = change.contexts
        known.find(name)
        left = {other: each for other, each in known.by_name.items() if other != name}
        chosen = ("" if each == name else each for each in (known.current, known.previous))
        change.contexts = Contexts(left, *chosen)
    note(f"Forgot context '{name}'.")
    if invocation.is_data:
        emit(invocation, _fields(known, found))


@context.command()
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_context)
@cluster_options
@pass_invocation
def show(invocation: Invocation, /, *, name: str | None) -> None:
    """Show a context; without NAME the cluster that commands speak to now, and who said so."""
    from streamctl.contexts.target import Target, find_target

    if name is None:
        target = find_target(invocation)
    else:
        found = read_contexts(config_path()).find(name)
        target = Target(found.bootstrap, "context", found)
    named = target.context.name if target.context is not None else None
    data = {
        "name": named,
        "bootstrap": target.bootstrap,
        "danger": target.is_dangerous,
        "said_by": target.said_by,
        "file": str(config_path()),
    }
    row = (named, target.bootstrap, "danger" if target.is_dangerous else None, target.said_by)
    emit(invocation, data, Table(("CONTEXT", "BOOTSTRAP", "DANGER", "SAID BY"), [row]))
