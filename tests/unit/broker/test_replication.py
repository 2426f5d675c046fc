"""Three brokers and what they promise together."""

from __future__ import annotations

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import UnavailableError
from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import Producer, item, make_batch
from tests.unit.broker.cluster import BROKERS, COORDINATOR, TOPIC, Cluster, replicated


@replicated
async def test_what_is_acknowledged_is_on_the_disks_of_all_in_sync(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a", b"b")
    ends = [node.partition.log.flushed_end_offset for node in cluster.nodes.values()]
    assert ends == [2, 2, 2]
    assert await cluster.consume() == [b"a", b"b"]
    pushed = cluster.leader.metric("pushed_bytes_total")
    assert pushed == sum(node.metric("followed_bytes_total") for node in cluster.followers) > 0
    assert cluster.leader.metric("push_streams") >= 2


@replicated
async def test_a_dead_follower_holds_up_nobody_and_is_let_in_again(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    follower = cluster.followers[0]
    follower.kill()
    assert await cluster.produce(b"b") < 0.5
    await follower.start()
    await cluster.in_sync()
    assert follower.partition.log.flushed_end_offset == 2


@replicated
async def test_another_leads_when_the_leader_dies_and_nothing_is_lost(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    dead = cluster.leader
    dead.kill()
    assert await cluster.produce(b"b") < 0.5
    await dead.start()
    await cluster.in_sync()
    await cluster.produce(b"c")
    assert await cluster.consume() == [b"a", b"b", b"c"]
    assert dead.partition.log.flushed_end_offset == 3


@replicated
async def test_a_stopping_leader_hands_over_without_a_stall(cluster: Cluster) -> None:
    """SIGTERM: writes stand still for less than 0.1 s."""
    await cluster.start()
    await cluster.produce(b"a")
    stopped = cluster.leader
    began = cluster.client.clock.monotonic()
    stopping = cluster.client.spawn(stopped.stop())
    longest = 0.0
    while not stopping.done():
        longest = max(longest, await cluster.produce(b"x"))
    assert longest < 0.1
    assert cluster.client.clock.monotonic() - began < 1
    assert stopped.id not in cluster.image.isr
    assert cluster.coordinator.image.brokers[stopped.id].fenced
    await stopped.start()
    assert stopped.broker.logs.clean_start
    await cluster.in_sync()
    assert await cluster.consume() == cluster.values


@replicated
async def test_brokers_stop_one_after_another_and_come_back(cluster: Cluster) -> None:
    await cluster.start()
    for node in cluster.nodes.values():
        await cluster.produce(b"a")
        await node.stop()
        assert await cluster.produce(b"b") < 0.2
        await node.start()
        await cluster.in_sync()
    assert await cluster.consume() == cluster.values


@replicated
async def test_all_stop_at_the_same_time_and_none_waits_for_another_to_take_over(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    stopping = [cluster.client.spawn(node.stop()) for node in cluster.nodes.values()]
    await cluster.until(lambda: all(each.done() for each in stopping), within_s=0.5)
    for node in cluster.nodes.values():
        cluster.client.spawn(node.start())
    await cluster.in_sync()
    assert all(node.broker.logs.clean_start for node in cluster.nodes.values())
    assert await cluster.consume() == [b"a"]


@replicated
async def test_without_a_coordinator_a_broker_stops_all_the_same(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    await cluster.coordinator.stop()
    began = cluster.client.clock.monotonic()
    await cluster.leader.stop()
    assert cluster.client.clock.monotonic() - began < 1.5


@replicated
async def test_a_follower_that_is_stopped_is_not_waited_for_after_the_lag(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    follower = cluster.followers[0]
    follower.machine.process.pause()
    assert await cluster.produce(b"b") < 4
    assert follower.id not in cluster.image.isr
    assert cluster.leader.metric("isr_shrinks_total") == 1
    assert cluster.leader.metric("under_replicated_partitions") == 1
    follower.machine.process.resume()
    await cluster.in_sync()
    await cluster.until(lambda: cluster.leader.metric("isr_expands_total") == 1)
    assert cluster.leader.metric("under_replicated_partitions") == 0


@replicated
async def test_below_min_isr_nothing_is_taken_and_it_goes_on_by_itself(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    first, second = cluster.followers
    first.kill()
    second.kill()
    writing = cluster.client.spawn(cluster.produce(b"b"))
    await cluster.client.clock.sleep(5)
    assert not writing.done()
    assert cluster.leader.metric("under_min_isr_partitions") == 1
    assert await cluster.consume() == [b"a"], "reading goes on"
    await first.start()
    await cluster.until(writing.done, within_s=2)
    assert cluster.leader.metric("at_min_isr_partitions") == 1


@replicated
async def test_a_proposal_whose_answer_is_lost_is_made_again(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    follower = cluster.followers[0]
    follower.kill()
    await cluster.produce(b"b")
    cluster.coordinator.lost_answers = 3
    await follower.start()
    await cluster.in_sync()
    assert await cluster.produce(b"c") < 0.2
    assert cluster.leader.metric("failed_isr_updates_total") >= 1
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_a_refused_proposal_is_not_repeated_in_a_frenzy(cluster: Cluster) -> None:
    await cluster.start()
    follower = cluster.followers[0]
    follower.kill()
    await cluster.produce(b"a")
    cluster.coordinator.refused = {follower.id: None}
    await follower.start()
    made = len(cluster.coordinator.proposals)
    for _ in range(50):
        await cluster.produce(b"x")
        await cluster.client.clock.sleep(0.02)
    assert len(cluster.coordinator.proposals) - made < 10
    cluster.coordinator.refused.clear()
    await cluster.in_sync()


@replicated
async def test_a_leader_without_a_session_goes_on_and_stops_to_acknowledge_when_its_followers_leave(
    cluster: Cluster,
) -> None:
    """DESIGN 4, without a quorum: the old leader is cut from the coordinators, not from anybody else."""
    await cluster.start()
    await cluster.produce(b"a")
    old = cluster.leader
    fabric = cluster.simulation.fabric
    fabric.cut_both(f"broker{old.id}", "coordinator")
    await cluster.client.clock.sleep(3.5)
    assert old.broker.session.unconfirmed
    assert await cluster.produce(b"b") < 0.1, "it leads on while nobody else does"
    cluster.coordinator.fence(old.id)
    await cluster.until(lambda: all(node.partition.leader != old.id for node in cluster.followers[1:]))
    assert await cluster.produce(b"c") < 1, "the newer leader"
    assert not old.partition.leads, "it has heard from a follower that another one leads"
    fabric.heal()
    await cluster.in_sync()
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_all_die_together_and_come_back_in_any_order(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a", b"b")
    for node in cluster.nodes.values():
        node.cut_power()
    for broker_id in (3, 1, 2):
        cluster.client.spawn(cluster.nodes[broker_id].start())
    await cluster.in_sync()
    await cluster.produce(b"c")
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_while_nobody_may_lead_the_last_members_say_how_far_they_go(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a", b"b")
    cluster.coordinator.elects = False
    cluster.coordinator.refuses = UnavailableError("not yet")
    cluster.coordinator.stand(cluster.image, isr=(), elr=(), leader=0, last_members=BROKERS)
    await cluster.until(lambda: len(cluster.coordinator.reports) > 6)
    cluster.coordinator.refuses = None
    await cluster.until(lambda: cluster.image.leader != 0)
    assert {broker_id for broker_id, _ in cluster.coordinator.reports} == set(BROKERS)
    assert {(each.last_epoch, each.log_end_offset) for _, each in cluster.coordinator.reports} == {(1, 2)}
    heard = len(cluster.coordinator.reports)
    await cluster.client.clock.sleep(5)
    assert len(cluster.coordinator.reports) == heard, "what was heard is not said again"


@replicated
async def test_a_new_active_coordinator_is_told_again(cluster: Cluster) -> None:
    await cluster.start()
    cluster.coordinator.elects = False
    cluster.coordinator.stand(cluster.image, isr=(), elr=(), leader=0, last_members=(1, 2, 3, 4))
    await cluster.until(lambda: len(cluster.coordinator.reports) == 3)
    await cluster.coordinator.stop()
    await cluster.coordinator.start(COORDINATOR)
    await cluster.until(lambda: len(cluster.coordinator.reports) == 6)


@replicated
async def test_who_is_elected_while_its_log_is_about_to_be_cut_leads_when_that_is_done(
    cluster: Cluster,
) -> None:
    """Else it would cut off what it has acknowledged as leader."""
    await cluster.start()
    await cluster.produce(b"a")
    node, other = cluster.leader, cluster.followers[0]
    fabric = cluster.simulation.fabric
    for follower in cluster.followers:
        fabric.cut_both(f"broker{node.id}", f"broker{follower.id}")
    await Producer(cluster.channel(node)).send(item(TOPIC, make_batch([b"never acknowledged"], sequence=1)))
    await cluster.until(lambda: node.partition.log.flushed_end_offset == 2)
    cluster.coordinator.stand(cluster.image, leader=other.id)
    await cluster.until(lambda: other.partition.leads)
    logs = node.broker.logs
    truncate = logs.truncate
    led: list[bool] = []

    async def elect_and_truncate(log: PartitionLog, offset: int) -> None:
        cluster.coordinator.stand(cluster.image, leader=node.id)
        await cluster.until(lambda: node.partition.leader == node.id)
        led.append(node.partition.leads)
        await truncate(log, offset)

    logs.truncate = elect_and_truncate  # type: ignore[method-assign]
    fabric.heal()
    await cluster.until(lambda: bool(led))
    await cluster.until(lambda: node.partition.leads)
    assert led == [False]
    assert node.partition.log.log_end_offset == 1
    assert node.metric("log_cuts_total") == 1
    await cluster.produce(b"b")
    assert await cluster.consume() == [b"a", b"b"]


@replicated
async def test_deleted_records_are_not_read_again_when_another_leads(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a", b"b", b"c")
    assert (await cluster.delete_records(2)).log_start_offset == 2
    starts = [node.partition.log.log_start_offset for node in cluster.nodes.values()]
    assert starts == [2, 2, 2]
    cluster.leader.kill()
    await cluster.produce(b"d")
    assert cluster.leader.partition.log.log_start_offset == 2


@replicated
async def test_a_deletion_waits_for_a_silent_follower_until_it_is_out_of_sync(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a", b"b")
    silent = cluster.followers[0]
    silent.machine.process.pause()
    told = await cluster.delete_records(1, timeout_ms=200)
    assert (told.error.code, told.log_start_offset) == (errors_pb2.TIMED_OUT, 1)
    deleting = cluster.client.spawn(cluster.delete_records(1))
    await cluster.produce(b"c")
    assert silent.id not in cluster.image.isr
    assert not (await deleting).HasField("error")
    silent.machine.process.resume()
    await cluster.in_sync()
    assert silent.partition.log.log_start_offset == 1
