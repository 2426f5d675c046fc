"""The quorum commands over an admin that answers as told: words, shapes and exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from streamctl.cluster import Cluster
from streamctl.failures import ExitCode
from streamctl.invocation import Invocation
from streamctl.main import cli
from streamkeep_common.errors import InvalidQuorumChangeError, NoQuorumError
from streamkeep_proto.v1 import raft_pb2
from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterResponse, UpgradeFeaturesResponse
from streamkeep_proto.v1.raft_pb2 import (
    ChangeQuorumResponse,
    DescribeQuorumResponse,
    InitializeClusterResponse,
    MemberState,
    MemberStatus,
)

CLUSTER_ID = "c" * 22


def member(
    number: int, state: MemberState.ValueType, *, voter: bool = True, last_index: int = 90, trouble: str = ""
) -> MemberStatus:
    return MemberStatus(
        coordinator_id=number,
        address=f"127.0.0.1:710{number}",
        directory_id=bytes([number]) * 16,
        voter=voter,
        state=state,
        last_index=last_index,
        lag=90 - last_index,
        trouble=trouble,
    )


ACTIVE = member(1, raft_pb2.MEMBER_ACTIVE)
FOLLOWING = member(2, raft_pb2.MEMBER_FOLLOWING)
DEAD = member(3, raft_pb2.MEMBER_UNREACHABLE, last_index=80, trouble="no answer for 3 s")
LEARNER = member(4, raft_pb2.MEMBER_CATCHING_UP, voter=False, last_index=10)


def quorum(*members: MemberStatus, stale: bool = False) -> DescribeQuorumResponse:
    return DescribeQuorumResponse(
        cluster_id=CLUSTER_ID,
        cluster_epoch=1,
        stale=stale,
        active_id=0 if stale else 1,
        term=7,
        committed_index=90,
        members=members,
    )


@dataclass
class FakeAdmin:
    """Gives the quorums one after the other, the last again and again; remembers what was asked for."""

    quorums: list[DescribeQuorumResponse] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    bootstrap: str = ""
    active_afterwards: int = 2
    refusal: Exception | None = None

    async def describe_quorum(self) -> DescribeQuorumResponse:
        return self.quorums.pop(0) if len(self.quorums) > 1 else self.quorums[0]

    async def describe_cluster(self) -> DescribeClusterResponse:
        return DescribeClusterResponse(
            cluster_id=CLUSTER_ID, cluster_epoch=1, term=7, feature_level=1, supported_feature_level=2
        )

    async def add_coordinator(self, number: int, address: str) -> ChangeQuorumResponse:
        return self._change("add", number, address)

    async def remove_coordinator(self, number: int) -> ChangeQuorumResponse:
        return self._change("remove", number)

    async def transfer_leadership(self, number: int = 0) -> ChangeQuorumResponse:
        return self._change("transfer", number)

    async def initialize_cluster(self, members: Sequence[tuple[int, str]]) -> InitializeClusterResponse:
        self._change("init", *members)
        return InitializeClusterResponse(cluster_id=CLUSTER_ID)

    async def upgrade_features(
        self, *, level: int = 0, validate_only: bool = False
    ) -> UpgradeFeaturesResponse:
        self._change("upgrade", level, validate_only)
        return UpgradeFeaturesResponse(previous_level=1, level=level or 2)

    def _change(self, *what: Any) -> ChangeQuorumResponse:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal
        return ChangeQuorumResponse(active_id=self.active_afterwards)


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    admin = FakeAdmin([quorum(ACTIVE, FOLLOWING, DEAD, LEARNER)])

    def ask(invocation: Invocation, work: Callable[[Any], Awaitable[Any]]) -> Any:
        admin.bootstrap = invocation.bootstrap

        async def run() -> Any:
            return await work(Cluster(cast(Any, None), cast(Any, admin)))

        return asyncio.run(run())

    monkeypatch.setattr("streamctl.cluster.ask", ask)
    monkeypatch.setattr("streamctl.membership.LOOK_S", 0)
    return admin


def streamctl(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"STREAMKEEP_BOOTSTRAP": None})


def test_status_has_the_documented_shape(admin: FakeAdmin) -> None:
    result = streamctl("quorum", "status", "-o", "json")
    status = json.loads(result.stdout)
    assert list(status)[:4] == ["active", "term", "voters", "learners"]
    assert (status["active"], status["term"], status["stale"]) == (1, 7, False)
    assert [(v["id"], v["state"], v["last_index"], v["lag"]) for v in status["voters"]] == [
        (1, "active", 90, 0),
        (2, "following", 90, 0),
        (3, "unreachable", 80, 10),
    ]
    assert [(learner["id"], learner["state"], learner["lag"]) for learner in status["learners"]] == [
        (4, "catching-up", 80)
    ]
    assert status["voters"][0]["address"] == "127.0.0.1:7101" and status["voters"][0]["trouble"] is None
    assert result.exit_code == 0 and not result.stderr


def test_status_as_a_table_shows_troubles_if_there_are_any(admin: FakeAdmin) -> None:
    lines = streamctl("quorum", "status").stdout.splitlines()
    assert lines[3].split("  ")[0] == "COORDINATOR" and lines[3].endswith("TROUBLE")
    assert "no answer for 3 s" in lines[6] and "learner" in lines[7]
    admin.quorums = [quorum(ACTIVE)]
    assert "TROUBLE" not in streamctl("quorum", "status").stdout


def test_without_a_quorum_what_one_knows_is_told_and_said_to_be_old(admin: FakeAdmin) -> None:
    unknown = [member(number, raft_pb2.MEMBER_UNKNOWN, last_index=0) for number in (1, 2, 3)]
    admin.quorums = [quorum(*unknown, stale=True)]
    result = streamctl("quorum", "status", "-o", "json")
    status = json.loads(result.stdout)
    assert result.exit_code == 0 and "There is no quorum" in result.stderr and "2 of the 3" in result.stderr
    assert status["stale"] and status["active"] is None
    assert {(v["state"], v["last_index"], v["lag"]) for v in status["voters"]} == {("unknown", None, None)}


def test_a_coordinator_without_a_cluster_says_how_there_comes_one(admin: FakeAdmin) -> None:
    admin.quorums = [DescribeQuorumResponse()]
    result = streamctl("quorum", "status")
    assert result.exit_code == ExitCode.UNAVAILABLE and "`streamctl cluster init`" in result.stderr


def test_add_waits_until_the_learner_votes(admin: FakeAdmin) -> None:
    joined = member(4, raft_pb2.MEMBER_FOLLOWING)
    admin.quorums = [quorum(ACTIVE), quorum(ACTIVE, LEARNER), quorum(ACTIVE, joined)]
    result = streamctl("quorum", "add", "4", "127.0.0.1:7104", "-o", "json")
    assert admin.asked == [("add", 4, "127.0.0.1:7104")]
    assert "joined as a learner" in result.stderr and "has everything and votes" in result.stderr
    assert [voter["id"] for voter in json.loads(result.stdout)["voters"]] == [1, 4]


def test_add_without_waiting_says_only_that_it_joined(admin: FakeAdmin) -> None:
    result = streamctl("quorum", "add", "4", "127.0.0.1:7104", "--no-wait")
    assert result.exit_code == 0 and "votes" not in result.stderr


def test_add_gives_up_on_a_learner_without_progress(admin: FakeAdmin) -> None:
    stuck = member(4, raft_pb2.MEMBER_UNREACHABLE, voter=False, last_index=0, trouble="refused")
    admin.quorums = [quorum(ACTIVE, stuck)]
    result = streamctl("quorum", "add", "4", "127.0.0.1:7104", "--timeout", "0.1")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "coordinator 4 is unreachable at 127.0.0.1:7104, refused" in result.stderr


def test_remove_says_what_is_left(admin: FakeAdmin) -> None:
    dry = streamctl("quorum", "remove", "3", "--dry-run")
    assert "Would remove coordinator 3 (unreachable) at 127.0.0.1:7103, a voter; 2 voters stay" in dry.stderr
    assert not admin.asked
    assert streamctl("quorum", "remove", "3", "--yes").exit_code == 0
    assert admin.asked == [("remove", 3)]


def test_a_learner_can_be_removed_and_the_last_voter_cannot(admin: FakeAdmin) -> None:
    assert "a learner; 3 voters stay" in streamctl("quorum", "remove", "4", "--dry-run").stderr
    assert streamctl("quorum", "remove", "9").exit_code == ExitCode.NOT_FOUND
    admin.quorums = [quorum(ACTIVE)]
    assert "only voter" in streamctl("quorum", "remove", "1", "--yes").stderr
    assert not admin.asked


def test_add_refuses_what_is_no_address(admin: FakeAdmin) -> None:
    for address in ("127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", ":7104"):
        result = streamctl("quorum", "add", "4", address)
        assert result.exit_code == ExitCode.USAGE and "HOST:PORT" in result.stderr and not admin.asked


def test_transfer_names_who_is_active_and_fails_if_it_is_another(admin: FakeAdmin) -> None:
    assert "Coordinator 2 is active." in streamctl("quorum", "transfer").stderr
    assert streamctl("quorum", "transfer", "2").exit_code == 0
    assert streamctl("quorum", "transfer", "3").exit_code == ExitCode.UNAVAILABLE
    assert admin.asked == [("transfer", 0), ("transfer", 2), ("transfer", 3)]


@pytest.mark.parametrize(
    ("error", "code"),
    [(NoQuorumError("no"), ExitCode.UNAVAILABLE), (InvalidQuorumChangeError("no"), ExitCode.FAILED)],
)
def test_what_the_quorum_refuses_is_told(admin: FakeAdmin, error: Exception, code: ExitCode) -> None:
    admin.refusal = error
    assert streamctl("quorum", "transfer").exit_code == code


def test_init_asks_the_coordinators_it_names(admin: FakeAdmin) -> None:
    result = streamctl("cluster", "init", "2@b:7102", "1@a:7101", "-o", "json")
    assert admin.asked == [("init", (1, "a:7101"), (2, "b:7102"))] and admin.bootstrap == "a:7101,b:7102"
    assert json.loads(result.stdout)["cluster_id"] == CLUSTER_ID
    streamctl("cluster", "init", "1@a:7101", "-b", "outside:1")
    assert admin.bootstrap == "outside:1"


@pytest.mark.parametrize("members", [["1"], ["a:7101"], ["1@a:7101", "1@b:7101"], ["0@a:7101"], ["1@a"]])
def test_init_refuses_members_without_id_or_address(admin: FakeAdmin, members: list[str]) -> None:
    result = streamctl("cluster", "init", *members)
    assert result.exit_code == ExitCode.USAGE and "ID@HOST:PORT" in result.stderr and not admin.asked


def test_upgrade_says_from_where_to_where(admin: FakeAdmin) -> None:
    assert "Would raise the feature level from 1 to 2" in streamctl("cluster", "upgrade", "--dry-run").stderr
    assert "already" in streamctl("cluster", "upgrade", "--level", "1").stderr
    assert admin.asked == [("upgrade", 0, True), ("upgrade", 1, False)]


def test_the_cluster_shows_its_quorum_and_what_an_upgrade_would_bring(admin: FakeAdmin) -> None:
    described = json.loads(streamctl("cluster", "describe", "-o", "json").stdout)
    assert [(c["id"], c["active"], c["voter"], c["lag"]) for c in described["coordinators"]] == [
        (1, True, True, 0),
        (2, False, True, 0),
        (3, False, True, 10),
        (4, False, False, 80),
    ]
    assert (described["feature_level"], described["supported_feature_level"]) == (1, 2)
    assert "level 1, can be 2" in streamctl("cluster", "describe").stdout
