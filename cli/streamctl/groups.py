"""Groups of commands: loaded when used, and helpful about a name that does not exist.

A command's module is imported only when it runs or its own help is asked for, so that `--help` costs no
more than click itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from streamctl.failures import ExitCode, as_command_error, is_write_error, nearest
from streamctl.invocation import Invocation
from streamctl.streams import close_stdout_quietly

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


WHOLE = 1_000
"""Characters of a command's first sentence; none has as many."""
COMPLETION_VARIABLE = "_STREAMCTL_COMPLETE"
"""Set when a shell asks for completions, by the script that `completion` prints."""


class LazyCommand(NamedTuple):
    """Where a command is: `module:attribute`, and the line that the group's help shows for it."""

    target: str
    summary: str

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


class NounGroup(click.Group):
    """A group that offers the nearest command for one that does not exist."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            offer = nearest(name, known) or f"; `{ctx.command_path}` has {', '.join(known)}"
            ctx.fail(f"there is no command '{name}'{offer}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """With whole sentences: click cuts them where the terminal ends."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(WHOLE)) for name, command in commands if command]
            )


class RootGroup(NounGroup):
    """The root: lazily loaded commands, and the one place where exceptions become exit codes."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (of the base class)
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        command = self.lazy.get(cmd_name)
        return None if command is None else command.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the list, without loading what it names."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=command.summary) for name, command in self.lazy.items()]
        named = [item for item in items if str(item.value).startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, *args: Any, **extra: Any) -> Any:
        if not os.environ.get(COMPLETION_VARIABLE):
            return super().main(*args, **extra)
        from streamctl.shells import register

        register()
        try:
            with _exit_codes(lambda: False):
                return super().main(*args, **extra)
        except (click.ClickException, click.exceptions.Exit) as ended:
            sys.exit(ended.exit_code)  # without a word: it would stand in the line that is being typed

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _exit_codes(lambda: "--debug" in args):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _exit_codes(lambda: ctx.ensure_object(Invocation).debug):
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _exit_codes(is_debug: Callable[[], bool]) -> Iterator[None]:
    """What every exception becomes. Who was interrupted, or has no reader any more, gets nothing more of what
    waits to be written: that could take for ever."""
    try:
        yield
    except click.NoSuchOption as error:
        raise _unknown_option(error) from None
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Ctrl-C at a question is no answer
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
        raise
    except (click.ClickException, click.exceptions.Exit):
        raise
    except BrokenPipeError:
        close_stdout_quietly()
        raise click.exceptions.Exit(ExitCode.DONE) from None
    except KeyboardInterrupt:
        close_stdout_quietly()
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except Exception as error:
        if is_write_error(error):
            close_stdout_quietly()
        if is_debug():
            raise
        raise as_command_error(error) from error


def _unknown_option(error: click.NoSuchOption) -> click.UsageError:
    """With the option that is nearest, where click offers all that are near by the alphabet."""
    name = error.option_name
    return click.UsageError(
        f"there is no option '{name}'{nearest(name, error.possibilities or ())}", error.ctx
    )
