"""The entry point: what nouns there are, and where to find each. Imports nothing else."""

from __future__ import annotations

import click

from streamctl.groups import LazyCommand, RootGroup
from streamctl.help_text import HelpFormatter
from streamctl.invocation import list_options
from streamctl.streams import prepare_streams

COMMANDS = {
    "demo": LazyCommand(
        "streamctl.commands.demo:demo",
        "Stream a month of real flights through a cluster, kill a leader meanwhile, and check every record.",
    ),
    "dev": LazyCommand("streamctl.commands.dev:dev", "Run a whole cluster on this machine, for development."),
    "topic": LazyCommand(
        "streamctl.commands.topic:topic", "Create, list, describe, alter and delete topics."
    ),
    "partition": LazyCommand(
        "streamctl.commands.partition:partition",
        "Show partitions, move replicas, elect leaders, and compare replicas.",
    ),
    "offset": LazyCommand("streamctl.commands.offset:offset", "Show where partitions begin and end."),
    "records": LazyCommand("streamctl.commands.records:records", "Count records, and delete the oldest."),
    "config": LazyCommand(
        "streamctl.commands.config:config", "Show what may be set of topics and servers, and what is."
    ),
    "produce": LazyCommand("streamctl.commands.produce:produce", "Send lines to a topic."),
    "consume": LazyCommand("streamctl.commands.consume:consume", "Print the records of a topic."),
    "cluster": LazyCommand(
        "streamctl.commands.cluster:cluster",
        "Look at coordinators and brokers; make a cluster, or upgrade it.",
    ),
    "quorum": LazyCommand("streamctl.commands.quorum:quorum", "Show and change the quorum of coordinators."),
    "context": LazyCommand(
        "streamctl.commands.context:context", "Name clusters, and choose the one that commands speak to."
    ),
    "bench": LazyCommand("streamctl.commands.bench:bench", "Measure how fast the cluster is."),
    "log": LazyCommand("streamctl.commands.log:log", "Look into segment files."),
    "coordinator": LazyCommand(
        "streamctl.commands.server:coordinator", "Run a coordinator, or look into what it stored."
    ),
    "broker": LazyCommand(
        "streamctl.commands.server:broker", "Run a broker; look at brokers, empty them, take them out."
    ),
    "completion": LazyCommand(
        "streamctl.commands.completion:completion",
        "Print the script that makes a shell complete commands, options, topics, brokers and contexts.",
    ),
    "cheat": LazyCommand("streamctl.commands.cheat:cheat", "Show worked examples, a page at a time."),
    "version": LazyCommand(
        "streamctl.commands.version:version", "Show the versions of Streamkeep and its parts."
    ),
}

click.Context.formatter_class = HelpFormatter
"""Of every command: each makes its own context, of click's class."""


@click.group(
    cls=RootGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@list_options
@click.version_option(package_name="streamkeep", prog_name="streamctl", message="%(prog)s %(version)s")
def cli() -> None:
    """Streamkeep's command line: noun, then verb.

    Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 not found,
    4 unavailable or timed out, 10 unhealthy, 130 interrupted.

    \b
    streamctl dev --detach                  start a cluster on this machine
    streamctl topic create flights          six partitions
    seq 100000 | streamctl produce flights
    streamctl consume flights --exit-at-end
    """


def main() -> None:
    """Run the command line with the arguments of the process."""
    prepare_streams()
    cli(prog_name="streamctl")
