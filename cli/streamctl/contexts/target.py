"""Which cluster a command means: what is said on the line, then in the environment, then the context in use,
then the development cluster that runs here."""

from __future__ import annotations

import os
from typing import NamedTuple

import click

from streamctl.contexts.file import Context, config_path, read_contexts
from streamctl.invocation import (
    BOOTSTRAP_VARIABLE,
    CONTEXT_VARIABLE,
    DEFAULT_BOOTSTRAP,
    Invocation,
)


class Target(NamedTuple):
    """The coordinators to ask first, who said so, and the context they are from if they are from one.

    `is_local`: nobody said anything, so it is what `dev` has started, or would have.
    """

    bootstrap: str
    said_by: str
    context: Context | None = None
    is_local: bool = False

    @property
    def is_dangerous(self) -> bool:
        return self.context is not None and self.context.danger


def find_target(invocation: Invocation) -> Target:
    """UsageError if the line says both --bootstrap and --context; CommandError if there is no such context,
    or the file of contexts is broken while it is needed."""
    if {"bootstrap", "context"} <= invocation.said:
        raise click.UsageError("--bootstrap and --context both say which cluster: give one")
    if "context" in invocation.said:
        return _of_context(invocation.context, "--context")
    if invocation.bootstrap:
        return Target(invocation.bootstrap, _sayer(invocation))
    if name := os.environ.get(CONTEXT_VARIABLE, ""):
        return _of_context(name, CONTEXT_VARIABLE)
    contexts = read_contexts(config_path())
    if contexts.current:
        return Target(contexts.find(contexts.current).bootstrap, "context", contexts.find(contexts.current))
    return _here()


def _sayer(invocation: Invocation) -> str:
    return "--bootstrap" if "bootstrap" in invocation.said else BOOTSTRAP_VARIABLE


def _of_context(name: str, said_by: str) -> Target:
    context = read_contexts(config_path()).find(name)
    return Target(context.bootstrap, said_by, context)


def _here() -> Target:
    from streamctl.dev.choice import known_bootstrap

    if known := known_bootstrap():
        return Target(known, "dev", is_local=True)
    return Target(DEFAULT_BOOTSTRAP, "default", is_local=True)
