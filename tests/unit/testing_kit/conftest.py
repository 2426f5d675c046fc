from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streamkeep.testing import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three brokers, all running when a test begins."""
    with Cluster(brokers=3) as cluster:
        yield cluster


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """The test ends as many threads as it starts."""
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []
