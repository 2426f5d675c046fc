"""`streamctl completion`: what a shell needs to complete commands, options and live names."""

from __future__ import annotations

import click

from streamctl.groups import COMPLETION_VARIABLE
from streamctl.invocation import debug_option

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), metavar="bash|zsh|fish")
@click.pass_context
@debug_option
def completion(context: click.Context, /, *, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, topics, brokers and contexts.

    \b
    source <(streamctl completion bash)       into ~/.bashrc
    source <(streamctl completion zsh)        into ~/.zshrc
    streamctl completion fish > ~/.config/fish/completions/streamctl.fish

    Names are asked of the cluster that commands speak to; if it is slow or gone there are none.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from streamctl.shells import register

    register()
    kind = get_completion_class(shell)
    assert kind is not None
    # Not kind.source(): it runs a bash to see how old it is, and the script may be for another machine.
    click.echo(ShellComplete.source(kind(context.find_root().command, {}, "streamctl", COMPLETION_VARIABLE)))
