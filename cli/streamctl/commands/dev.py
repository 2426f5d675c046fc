"""`streamctl dev`: a cluster of real processes on this machine. Without a verb it starts one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from streamctl.dev.plan import DEFAULT_BROKERS, MAX_BROKERS, MAX_COORDINATORS, ROLES
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, local_options, pass_invocation

F = TypeVar("F", bound=Callable[..., Any])

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where data, logs and dev.json are.  [default: ~/.local/share/streamkeep/dev]",
)

_data_dir_of_known = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the data of the cluster are that is meant.  [default: of the one that `dev` started on this"
    " machine, wherever that is]",
)


def _start_options(function: F) -> F:
    function = local_options(function)
    for option in (
        click.option("--detach", is_flag=True, help="Return when ready; `dev stop` ends the cluster."),
        click.option(
            "--port-base",
            type=click.IntRange(0, 65_000),
            help="The first coordinator's port, the others follow; brokers listen from 100 above it. 0: any"
            " free ones.  [default: those of the last start, at first 7101]",
        ),
        click.option(
            "--brokers",
            type=click.IntRange(1, MAX_BROKERS),
            default=DEFAULT_BROKERS,
            show_default=True,
            help="How many.",
        ),
        click.option(
            "--coordinators",
            type=click.IntRange(1, MAX_COORDINATORS),
            help="How many.  [default: as many as have data, at first 3]",
        ),
        _data_dir,
    ):
        function = option(function)
    return function


def _process_arguments(function: F) -> F:
    function = local_options(_data_dir_of_known(function))
    function = click.argument("number", type=click.IntRange(1), metavar="ID")(function)
    return click.argument("role", type=click.Choice(ROLES), metavar="ROLE")(function)


@click.group(cls=NounGroup, invoke_without_command=True)
@_start_options
@click.pass_context
def dev(context: click.Context, /, **options: Any) -> None:
    """Run a whole cluster on this machine, for development.

    Three coordinators and three brokers, each a process of its own. Runs until Ctrl-C, or in the
    background with --detach. The data stay for the next start.
    """
    if context.invoked_subcommand is None:
        context.invoke(start, **options)
        return
    # Options before the verb hold for it too.
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    context.default_map = dict.fromkeys(("start", "status", "stop", "start-process", "stop-process"), given)


@dev.command()
@_start_options
@pass_invocation
def start(
    invocation: Invocation,
    /,
    *,
    data_dir: Path | None,
    coordinators: int | None,
    brokers: int,
    port_base: int | None,
    detach: bool,
) -> None:
    """Start the cluster; the same as plain `streamctl dev`."""
    import random

    from streamctl.dev import shell
    from streamctl.dev.store import ClusterStore, default_data_dir
    from streamctl.dev.supervisor import Supervisor
    from streamctl.interrupts import run

    store = ClusterStore((data_dir or default_data_dir()).absolute())
    plan = shell.planned(store, coordinators=coordinators, brokers=brokers, port_base=port_base)
    supervisor = Supervisor(plan, store, random.SystemRandom())
    run((shell.run_detached if detach else shell.run_attached)(invocation, supervisor, store))


@dev.command()
@_data_dir_of_known
@local_options
@pass_invocation
def status(invocation: Invocation, /, *, data_dir: Path | None) -> None:
    """Show the processes of the cluster and whether they run; of all that `dev` started, if it was several.

    Exit codes: 0 all run, 10 some are dead, stopped or paused, 3 there is no cluster.
    """
    from streamctl.dev import shell
    from streamctl.dev.choice import chosen_stores

    shell.show_status(invocation, chosen_stores(data_dir))


@dev.command()
@_data_dir_of_known
@local_options
@pass_invocation
def stop(invocation: Invocation, /, *, data_dir: Path | None) -> None:
    """End every process of the cluster. The data stay.

    Of several that run it is the one that other commands speak to; --data-dir says which, too.
    """
    from streamctl.dev import shell
    from streamctl.dev.choice import chosen_stores
    from streamctl.interrupts import run

    run(shell.stop(invocation, chosen_stores(data_dir)))


@dev.command("start-process")
@_process_arguments
@pass_invocation
def start_process(invocation: Invocation, /, *, role: str, number: int, data_dir: Path | None) -> None:
    """Start one process again that died or was stopped.

    ROLE is coordinator or broker. Its data, its address and its options are those of its last start.
    """
    from streamctl.dev import one_process
    from streamctl.dev.choice import chosen_stores
    from streamctl.interrupts import run

    run(one_process.start_process(invocation, chosen_stores(data_dir), role, number))


@dev.command("stop-process")
@_process_arguments
@pass_invocation
def stop_process(invocation: Invocation, /, *, role: str, number: int, data_dir: Path | None) -> None:
    """End one process and leave the others running.

    ROLE is coordinator or broker. `dev start-process` starts it again.
    """
    from streamctl.dev import one_process
    from streamctl.dev.choice import chosen_stores
    from streamctl.interrupts import run

    run(one_process.stop_process(invocation, chosen_stores(data_dir), role, number))
