"""`streamctl dev`: a cluster of real processes on this machine. Without a verb it starts one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, local_options, pass_invocation

F = TypeVar("F", bound=Callable[..., Any])

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where data, logs and dev.json are.  [default: ~/.local/share/streamkeep/dev]",
)


def _start_options(function: F) -> F:
    function = local_options(function)
    for option in (
        click.option("--detach", is_flag=True, help="Return when ready; `dev stop` ends the cluster."),
        click.option(
            "--port-base",
            type=click.IntRange(0, 65_000),
            default=7101,
            show_default=True,
            help="The coordinator's port; brokers listen from 100 above it. 0: any free ports.",
        ),
        click.option("--brokers", type=click.IntRange(1, 99), default=3, show_default=True, help="How many."),
        click.option("--coordinators", type=int, default=1, show_default=True, help="How many; now only 1."),
        _data_dir,
    ):
        function = option(function)
    return function


@click.group(cls=NounGroup, invoke_without_command=True)
@_start_options
@click.pass_context
def dev(context: click.Context, /, **options: Any) -> None:
    """Run a whole cluster on this machine, for development.

    One coordinator and three brokers, each a process of its own. Runs until Ctrl-C, or in the background
    with --detach. The data stay for the next start.
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
    context.default_map = dict.fromkeys(("start", "status", "stop"), given)


@dev.command()
@_start_options
@pass_invocation
def start(
    invocation: Invocation,
    /,
    *,
    data_dir: Path | None,
    coordinators: int,
    brokers: int,
    port_base: int,
    detach: bool,
) -> None:
    """Start the cluster; the same as plain `streamctl dev`."""
    from streamctl.dev import shell
    from streamctl.dev.plan import plan_cluster
    from streamctl.dev.store import ClusterStore, default_data_dir
    from streamctl.dev.supervisor import Supervisor
    from streamctl.interrupts import run

    if coordinators != 1:
        raise click.UsageError(f"{coordinators} coordinators need a quorum, which is not built yet: use 1")
    directory = (data_dir or default_data_dir()).absolute()
    store = ClusterStore(directory)
    supervisor = Supervisor(plan_cluster(directory, brokers=brokers, port_base=port_base), store)
    run((shell.run_detached if detach else shell.run_attached)(invocation, supervisor, store))


@dev.command()
@_data_dir
@local_options
@pass_invocation
def status(invocation: Invocation, /, *, data_dir: Path | None) -> None:
    """Show the processes of the cluster and whether they run.

    Exit codes: 0 all run, 10 some are dead or paused, 3 there is no cluster.
    """
    from streamctl.dev import shell

    shell.show_status(invocation, shell.chosen_stores(data_dir))


@dev.command()
@_data_dir
@local_options
@pass_invocation
def stop(invocation: Invocation, /, *, data_dir: Path | None) -> None:
    """End every process of the cluster. The data stay."""
    from streamctl.dev import shell
    from streamctl.interrupts import run

    run(shell.stop(invocation, shell.chosen_stores(data_dir)))
