"""A connection to the cluster that the options name, and what is said when it or a topic is not there."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click

from streamctl.contexts.danger import warn_of
from streamctl.contexts.target import find_target
from streamctl.failures import CommandError, ExitCode
from streamctl.interrupts import run
from streamctl.invocation import Invocation
from streamctl.topic_names import unknown_topic
from streamkeep import Admin, Client
from streamkeep_common.errors import NotInitializedError, UnavailableError, UnknownTopicError, from_proto
from streamkeep_proto.v1.coordinator_pb2 import TopicInfo
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse

T = TypeVar("T")

NOBODY_S = 0.4
"""Where nobody listens at any address for so long there is no cluster, or the wrong one was named."""


class Cluster:
    """The SDK's client and admin, as one command uses them."""

    def __init__(self, client: Client, admin: Admin) -> None:
        self.client = client
        self.admin = admin

    async def topic(self, name: str) -> TopicInfo:
        """Raises CommandError, offering the nearest name, if there is no such topic."""
        (topic,) = await self.admin.describe_topics([name])
        if topic.HasField("error") and isinstance(from_proto(topic.error), UnknownTopicError):
            raise unknown_topic(name, [topic.name for topic in await self.admin.list_topics()])
        return topic

    async def quorum(self) -> DescribeQuorumResponse:
        """As the active coordinator sees it, or whoever answers if there is none.

        Raises NotInitializedError if whoever answers belongs to no cluster yet.
        """
        quorum = await self.admin.describe_quorum()
        if not quorum.cluster_id:
            raise NotInitializedError("the coordinator that answers belongs to no cluster yet")
        return quorum


@asynccontextmanager
async def connected(invocation: Invocation) -> AsyncIterator[Cluster]:
    """The cluster; when nobody answers where `dev` would listen, the error says how to start one."""
    _listen_to_the_sdk(invocation)
    timeout_ms = round(invocation.request_timeout_s * 1_000)
    target = find_target(invocation)
    warn_of(invocation, target)
    try:
        client = Client(target.bootstrap, request_timeout_ms=timeout_ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    client.coordinators.patience_with_nobody_s = NOBODY_S
    async with client:
        try:
            yield Cluster(client, Admin(client, request_timeout_ms=timeout_ms))
        except UnavailableError as error:
            if not target.is_local:
                raise
            hint = "`streamctl dev` starts a cluster on this machine, --bootstrap names another"
            raise CommandError(f"{error.message}; {hint}", ExitCode.UNAVAILABLE) from error


def _listen_to_the_sdk(invocation: Invocation) -> None:
    """What it logs is told again by the errors it raises, so it is heard only with --debug."""
    if invocation.debug:
        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s: %(message)s")
    else:
        logging.getLogger("streamkeep").addHandler(logging.NullHandler())


def ask(invocation: Invocation, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Connect, do `work`, disconnect."""

    async def connect() -> T:
        async with connected(invocation) as cluster:
            return await work(cluster)

    return run(connect())
