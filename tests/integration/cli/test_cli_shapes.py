"""What a live cluster tells scripts has the form that the reference promises."""

from __future__ import annotations

import pytest

from streamctl.shapes import SHAPES
from tests.integration.cli.program import Streamctl
from tests.unit.cli.conforming import faults

pytestmark = pytest.mark.process

CALLS = {
    "topic create": ["form-2", "--partitions", "1"],
    "topic add-partitions": ["form-2", "2"],
    "topic alter": ["form", "--set", "retention_ms=1d"],
    "topic list": [],
    "topic describe": ["form"],
    "topic delete": ["form-2"],
    "partition list": ["form"],
    "partition reassign": ["-p", "form:0=1,2,3", "--dry-run"],
    "partition elect": ["form"],
    "partition verify": ["form"],
    "offset list": ["form", "--at", "@-1h"],
    "records count": ["form", "--from", "@-1h"],
    "records delete": ["form", "--before", "-1"],
    "config show": ["topic", "form"],
    "broker list": [],
    "broker describe": ["1"],
    "broker log-dirs": ["1", "2"],
    "quorum status": [],
    "quorum transfer": [],
    "cluster describe": [],
    "cluster health": ["--wait"],
    "cluster features": [],
    "cluster upgrade": ["--dry-run"],
    "bench produce": ["form", "--records", "1500"],
    "bench consume": ["form"],
    "bench latency": ["form", "--records", "3"],
}


def test_every_answer_of_a_live_cluster_has_its_form(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "form", "--partitions", "2", "--replication-factor", "2")
    streamctl.produce("form", b"a\nb\nc\n", "-p", "1")
    wrong = {}
    for path, arguments in CALLS.items():
        data = streamctl(*path.split(), *arguments, "-o", "json").json
        assert data, f"{path} told nothing"
        wrong[path] = list(faults(data, SHAPES[path]))
    assert {path: found for path, found in wrong.items() if found} == {}
