"""What the options common to all commands say, wherever on the line they stand.

`streamctl -o json topic list` and `streamctl topic list -o json` are the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

DEFAULT_BOOTSTRAP = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103"
"""Where `dev` starts coordinators. A port where none is refuses at once."""
BOOTSTRAP_VARIABLE = "STREAMKEEP_BOOTSTRAP"
CONTEXT_VARIABLE = "STREAMCTL_CONTEXT"
REQUEST_TIMEOUT_S = 5.0
STALL_TIMEOUT_S = 30.0
OUTPUTS = ("table", "json", "yaml")
NAMES = "name"
"""The form of those commands that list what has names: one name a line, for other commands."""

MAX_ID = 2**31 - 1
"""Of a coordinator, broker or partition, and as many partitions or replicas: what fits into a message."""

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")


def complete_context(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of contexts, for the shell; none if their file cannot be read."""
    from streamctl.contexts.file import config_path, read_contexts

    try:
        known = read_contexts(config_path()).by_name
    except click.ClickException:
        return []
    return [name for name in known if name.startswith(incomplete)]


@dataclass
class Invocation:
    """One run of streamctl. `bootstrap` is empty unless it was said, on the line or in the environment;
    `said` has the names of the options that stood on the line; `is_warned` of a dangerous context."""

    bootstrap: str = field(default_factory=lambda: os.environ.get(BOOTSTRAP_VARIABLE, ""))
    context: str = ""
    output: str = "table"
    timeout: float | None = None
    debug: bool = False
    said: set[str] = field(default_factory=set)
    is_warned: bool = False

    @property
    def request_timeout_s(self) -> float:
        """How long a question to the cluster may take."""
        return self.timeout or REQUEST_TIMEOUT_S

    @property
    def stall_timeout_s(self) -> float:
        """How long records that are on their way may make no progress."""
        return self.timeout or STALL_TIMEOUT_S

    @property
    def is_data(self) -> bool:
        """For programs, not for people."""
        return self.output != "table"


def pass_invocation(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Gives a command its Invocation, after a look at whether all texts that it gets can be sent."""

    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        context = click.get_current_context()
        for parameter in context.command.params:
            _refuse_other_than_utf8(context, parameter, kwargs.get(str(parameter.name)))
        return context.invoke(function, context.ensure_object(Invocation), *args, **kwargs)

    return update_wrapper(checked, function)


def _refuse_other_than_utf8(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Raises BadParameter. Python has bytes of the command line that are no UTF-8 as halves of surrogate
    pairs, which nothing can encode; options that take bytes have made bytes of them by now."""
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, tuple | list):
        for item in value:
            _refuse_other_than_utf8(context, parameter, item)
    elif isinstance(value, str) and (complaint := not_utf8(value)):
        raise click.BadParameter(complaint, context, parameter)


def not_utf8(text: str) -> str:
    """What is wrong with a text that cannot be sent or written to a file; "" if it can be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(text).decode(errors="backslashreplace")
        return f"'{shown}' is not UTF-8"
    return ""


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    invocation = context.ensure_object(Invocation)
    _refuse_other_than_utf8(context, parameter, value)
    if value is not None:
        setattr(invocation, str(parameter.name), value)
        invocation.said.add(str(parameter.name))


def _store_output(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """`-o name` may stand before the command, which then has to have names to show."""
    _store(context, parameter, value)
    if context.ensure_object(Invocation).output == NAMES:
        raise click.BadParameter(
            f"'{NAMES}' is not one of {', '.join(OUTPUTS)}: this lists no names", context
        )


def _option(*names: str, callback: Callable[..., None] = _store, **attributes: Any) -> Callable[[F], F]:
    return click.option(*names, default=None, expose_value=False, callback=callback, **attributes)


class Seconds(click.FloatRange):
    """A range of numbers, which `nan` is not in, whatever float() makes of it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def named_values(texts: Iterable[str]) -> dict[str, str]:
    """The values of an option that repeats as NAME=VALUE, by name. Raises BadParameter."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{text}' is not NAME=VALUE")
        values[name] = value
    return values


_OUTPUT_HELP = "Form of the data on stdout.  [default: table]"
output_option = _option(
    "-o", "--output", type=click.Choice(OUTPUTS), callback=_store_output, is_eager=True, help=_OUTPUT_HELP
)
names_output_option = _option("-o", "--output", type=click.Choice((*OUTPUTS, NAMES)), help=_OUTPUT_HELP)
debug_option = _option("--debug", is_flag=True, flag_value=True, help="Show the traceback of a failure.")
bootstrap_option = _option(
    "-b",
    "--bootstrap",
    metavar="HOST:PORT,...",
    help=f"Coordinators to ask first.  [env: {BOOTSTRAP_VARIABLE}; default: those of the context in use, or"
    " of the cluster that `dev` runs here]",
)
context_option = _option(
    "--context",
    metavar="NAME",
    shell_complete=complete_context,
    help=f"The cluster of this name, of those in `context list`.  [env: {CONTEXT_VARIABLE}]",
)
timeout_option = _option(
    "--timeout",
    type=Seconds(min=0.1, max=86_400),
    metavar="SECONDS",
    help="Give up after so long without an answer, or without progress of what is waited for. "
    " [default: 5; 30 for progress]",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would happen, do nothing.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def local_options(function: F) -> F:
    """For commands that speak to no cluster."""
    return output_option(debug_option(function))


def local_list_options(function: F) -> F:
    """For those of them that list what has names."""
    return names_output_option(debug_option(function))


def cluster_options(function: F) -> F:
    """For commands that speak to a cluster."""
    return _reaching(output_option(debug_option(function)))


def list_options(function: F) -> F:
    """For those of them that list what has names, and take `-o name` too."""
    return _reaching(names_output_option(debug_option(function)))


def _reaching(function: F) -> F:
    return bootstrap_option(context_option(timeout_option(function)))
