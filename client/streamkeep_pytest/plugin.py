"""A cluster for the session, and a topic for each test.

Nothing of Streamkeep is loaded before a test asks for the cluster. The guide is docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from streamkeep.testing import Cluster

_CLUSTER: Final[pytest.StashKey[Cluster]] = pytest.StashKey()


@pytest.fixture(scope="session")
def streamkeep_cluster_options() -> dict[str, Any]:
    """Arguments of the session's `Cluster`. Define a fixture of this name to have others."""
    return {}


@pytest.fixture(scope="session")
def streamkeep_cluster(
    request: pytest.FixtureRequest, streamkeep_cluster_options: dict[str, Any]
) -> Iterator[Cluster]:
    """A Streamkeep cluster for all tests of the session; each takes its own topics, from `topic()`.

    Brokers that a test has stopped or killed run again when the next one begins.
    """
    from streamkeep.testing import Cluster

    with Cluster(**streamkeep_cluster_options) as cluster:
        request.session.stash[_CLUSTER] = cluster
        try:
            yield cluster
        finally:
            del request.session.stash[_CLUSTER]


@pytest.fixture
def streamkeep_topic(streamkeep_cluster: Cluster) -> str:
    """The name of a topic of one partition that no other test knows."""
    return streamkeep_cluster.topic()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Once the test's own fixtures are gone, well or not, start the brokers that it left behind stopped."""
    try:
        yield
    finally:
        cluster = item.session.stash.get(_CLUSTER, None)
        if cluster is not None and cluster.has_stopped_brokers:
            cluster.restore()
