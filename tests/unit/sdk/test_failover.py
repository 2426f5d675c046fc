"""What a client notices of coordinators that die, hang, lag, or were never there: very little."""

from __future__ import annotations

import pytest

from streamkeep.errors import (
    ClusterMismatchError,
    InvalidQuorumChangeError,
    NoQuorumError,
    NotInitializedError,
    TimedOutError,
    TopicExistsError,
    UnavailableError,
    UnknownTopicError,
)
from streamkeep_common.methods import BROKER_SERVICE, GET_METADATA
from streamkeep_common.seams import Service
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest
from tests.unit.sdk.fake_quorum import FakeQuorum, with_quorum


@with_quorum
async def test_a_change_is_made_soon_after_the_active_coordinator_is_killed(quorum: FakeQuorum) -> None:
    admin = quorum.admin()
    await admin.create_topic("before", wait=False)
    quorum["one"].kill()
    quorum.elect_after(1.2, "three")
    assert await quorum.seconds(admin.create_topic("after", wait=False)) < 1.5
    assert await quorum.seconds(admin.create_topic("later", wait=False)) < 0.05
    assert list(quorum.topics) == ["before", "after", "later"]


@with_quorum
async def test_a_change_is_made_soon_after_the_active_coordinator_hangs(quorum: FakeQuorum) -> None:
    """The others name the one that hangs until they have elected another."""
    admin = quorum.admin()
    await admin.create_topic("before", wait=False)
    quorum["one"].hang()
    quorum.elect_after(1.3, "two")
    assert await quorum.seconds(admin.create_topic("after", wait=False)) < 1.6
    assert await quorum.seconds(admin.create_topic("later", wait=False)) < 0.05


@with_quorum
async def test_a_new_client_is_not_held_up_by_a_hung_coordinator_for_long(quorum: FakeQuorum) -> None:
    quorum["one"].hang()
    quorum.elect("two")
    admin = quorum.admin()
    assert await quorum.seconds(admin.create_topic("t", wait=False)) < 0.5
    for _ in range(3):
        assert await quorum.seconds(admin.list_topics()) < 0.05


@with_quorum
async def test_of_a_bootstrap_list_one_right_address_is_enough(quorum: FakeQuorum) -> None:
    """The rest: dead, nothing but a name, a broker, hung, and a coordinator of another cluster."""
    broker = quorum.simulation.machine("broker")
    await broker.network.serve("broker:7201", [Service(BROKER_SERVICE, {}, {})])
    quorum["three"].hang()
    admin = quorum.admin("dead:1", "broker:7201", "three:7101", "two:7101")
    assert await quorum.seconds(admin.create_topic("t", wait=False)) < 0.5
    assert quorum["one"].asked["create"] == 1, "learned from the second"


@with_quorum
async def test_the_first_cluster_that_answers_is_the_one_and_no_other_is_written_to(
    quorum: FakeQuorum,
) -> None:
    stranger = await quorum.add("stranger")
    del quorum.coordinators["stranger:7101"]
    stranger.cluster_id = "another"
    admin = quorum.admin("two:7101", "stranger:7101", request_timeout_ms=3_000)
    await admin.create_topic("t", wait=False)
    for name in ("one", "two", "three"):
        quorum[name].kill()
    with pytest.raises(UnavailableError):
        await admin.create_topic("u", wait=False)
    assert stranger.asked["create"] == 0
    with pytest.raises(ClusterMismatchError, match="cluster another, and this client to ours"):
        await admin._client.coordinators.ask_one(
            "stranger:7101", GET_METADATA, GetMetadataRequest(), timeout_s=1
        )


@with_quorum
async def test_the_active_one_is_followed_to_an_address_that_was_not_known(quorum: FakeQuorum) -> None:
    new = await quorum.add("new")
    for coordinator in quorum.coordinators.values():
        coordinator.members = ["one:7101"]
    quorum.elect("new")
    admin = quorum.admin("one:7101")
    assert await quorum.seconds(admin.create_topic("t", wait=False)) < 0.05
    assert new.asked["create"] == 1
    await admin.create_topic("u", wait=False)
    assert quorum["one"].asked["create"] == 1, "it is remembered who is active"


@with_quorum
async def test_coordinators_that_name_each_other_are_not_asked_in_a_frenzy(quorum: FakeQuorum) -> None:
    admin = quorum.admin(request_timeout_ms=3_000)
    await admin.list_topics()
    quorum.active = None
    quorum["one"].believes, quorum["two"].believes = "two:7101", "one:7101"
    with pytest.raises(NoQuorumError, match=r"none of the coordinators at .* is active"):
        await admin.create_topic("t", wait=False)
    assert sum(coordinator.asked["create"] for coordinator in quorum.coordinators.values()) < 150


@with_quorum
async def test_a_create_whose_answer_was_lost_succeeds_when_made_again(quorum: FakeQuorum) -> None:
    admin = quorum.admin()
    quorum["one"].lose_answers = 1
    outcome = await admin.create_topic("t", wait=False)
    assert outcome.topic_id == quorum.topics["t"]
    assert quorum["one"].asked["create"] == 2
    with pytest.raises(TopicExistsError):
        await admin.create_topic("t", wait=False)


@with_quorum
async def test_a_slow_change_is_not_made_twice(quorum: FakeQuorum) -> None:
    """Three seconds: the others are asked meanwhile, and say who is active."""
    admin = quorum.admin()
    quorum["one"].delay_s = 3.0
    assert await quorum.seconds(admin.create_topic("t", wait=False)) < 3.1
    assert quorum["one"].asked["create"] == 1


@with_quorum
async def test_a_delete_whose_answer_was_lost_finds_the_topic_gone(quorum: FakeQuorum) -> None:
    admin = quorum.admin()
    await admin.create_topic("t", wait=False)
    quorum["one"].lose_answers = 1
    with pytest.raises(UnknownTopicError):
        await admin.delete_topic("t")
    assert quorum.topics == {}


@with_quorum
async def test_without_a_quorum_a_change_waits_for_one_and_then_says_what_to_do(quorum: FakeQuorum) -> None:
    admin = quorum.admin(request_timeout_ms=2_000)
    quorum["one"].kill()
    quorum.active = None
    for name in ("two", "three"):
        quorum[name].refusal = NoQuorumError("two of three are silent")
    with pytest.raises(NoQuorumError, match=r"two of three are silent.*Start the coordinators that are down"):
        await admin.create_topic("t", wait=False)
    with pytest.raises(NoQuorumError):
        await admin.list_topics()
    quorum["two"].refusal = quorum["three"].refusal = None
    quorum.elect("three")
    await admin.create_topic("t", wait=False)


@with_quorum
async def test_a_coordinator_of_no_cluster_is_passed_over(quorum: FakeQuorum) -> None:
    quorum["one"].cluster_id = ""
    quorum["one"].refusal = NotInitializedError("it belongs to no cluster yet")
    quorum.elect("two")
    admin = quorum.admin()
    await admin.create_topic("t", wait=False)
    assert quorum["one"].asked["create"] == 0


@with_quorum
async def test_an_error_that_is_the_answer_is_raised_at_once(quorum: FakeQuorum) -> None:
    admin = quorum.admin()
    quorum["one"].refusal = InvalidQuorumChangeError("coordinator 9 is no member")
    with pytest.raises(InvalidQuorumChangeError, match="coordinator 9 is no member"):
        await admin.transfer_leadership(9)
    assert quorum["one"].asked["transfer"] == 1


@with_quorum
async def test_stale_metadata_count_only_if_nobody_has_better(quorum: FakeQuorum) -> None:
    quorum["one"].stale = True
    client = quorum.client("one:7101", "two:7101")
    seen = []
    for stale in (("one",), ("one", "two", "three"), ("one", "two")):
        for name in ("one", "two", "three"):
            quorum[name].stale = name in stale
        await client.metadata.refresh()
        seen.append(client.metadata.view.stale)
    assert seen == [False, True, False]
    await client.close()


@with_quorum
async def test_a_stale_coordinator_cannot_say_that_a_topic_does_not_exist(quorum: FakeQuorum) -> None:
    for name in ("one", "two", "three"):
        quorum[name].stale = True
    client = quorum.client()
    with pytest.raises(NoQuorumError, match="not known to the coordinators that can be reached"):
        await client.metadata.topic("t", timeout_s=3)
    quorum["two"].stale = False
    with pytest.raises(UnknownTopicError):
        await client.metadata.topic("t", timeout_s=3)
    await client.close()


@with_quorum
async def test_a_coordinator_left_behind_by_a_recovery_is_not_believed(quorum: FakeQuorum) -> None:
    quorum["one"].cluster_epoch = 2
    client = quorum.client()
    await client.metadata.refresh()
    assert client.metadata.view.cluster_epoch == 2
    quorum["one"].kill()
    error = await client.metadata.refresh()
    assert isinstance(error, UnavailableError | TimedOutError | ClusterMismatchError)
    assert client.metadata.view.cluster_epoch == 2
    await client.close()


@with_quorum
async def test_the_quorum_is_described_by_the_active_one_or_without_it_by_any(quorum: FakeQuorum) -> None:
    admin = quorum.admin("three:7101", "two:7101")
    assert not (await admin.describe_quorum()).stale
    assert quorum["one"].asked["describe"] == 1
    quorum["one"].kill()
    quorum.active = None
    quorum["two"].believes = quorum["three"].believes = ""
    described = await admin.describe_quorum()
    assert described.stale
    assert described.cluster_id == "ours"


@with_quorum
async def test_a_cluster_is_made_by_one_coordinator_only(quorum: FakeQuorum) -> None:
    members = [(1, "one:7101"), (2, "two:7101"), (3, "three:7101")]
    quorum["one"].kill()
    made = await quorum.admin().initialize_cluster(members)
    assert made.cluster_id == "made"
    assert quorum.initialized_with == members
    assert (quorum["two"].asked["initialize"], quorum["three"].asked["initialize"]) == (1, 0)
