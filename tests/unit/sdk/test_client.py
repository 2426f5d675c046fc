"""One client object: its bootstrap list, how it asks coordinators, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc

import pytest

from streamkeep import Client, Consumer, Producer
from streamkeep.client import parse_bootstrap
from streamkeep.consumer.starts import Start
from streamkeep.coordinators import Whom
from streamkeep.errors import ClosedError, NotACoordinatorError, TimedOutError, UnavailableError
from streamkeep_common.methods import GET_METADATA
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest
from tests.unit.sdk.world import World, in_world


def test_bootstrap_lists_are_read_and_mistakes_in_them_told() -> None:
    assert parse_bootstrap("a:1, b:2,") == ["a:1", "b:2"]
    assert parse_bootstrap(["a:1", "[::1]:2"]) == ["a:1", "[::1]:2"]
    for wrong in ("", "a", "a:", ":1", "a:b", "a:70000", "http://a", f"a:{'9' * 5_000}", "\udce9:1"):
        with pytest.raises(ValueError, match="host:port"):
            parse_bootstrap(wrong)


def test_dead_addresses_are_passed_over_and_not_asked_again() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client("dead:1,also-dead:1,coordinator:7101") as client:
            await client.metadata.topic("t", timeout_s=10)
            began = client.clock.monotonic()
            await client.metadata.refresh()
            assert client.clock.monotonic() - began < 0.1

    in_world(story)


def test_a_silent_coordinator_costs_one_short_timeout() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        world.fabric.cut_both("client", "broker-1")
        async with world.client("broker-1:7201,coordinator:7101") as client:
            began = client.clock.monotonic()
            await client.metadata.topic("t", timeout_s=10)
            assert client.clock.monotonic() - began < 2

    in_world(story)


def test_looking_up_a_topic_takes_no_longer_than_allowed_and_says_why_it_failed() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        world.fabric.cut_both("client", "coordinator")
        for bootstrap in ("coordinator:7101", "coordinator:7101,dead:1", "dead:1"):
            async with world.client(bootstrap) as client:
                began = client.clock.monotonic()
                with pytest.raises((UnavailableError, TimedOutError)):
                    await client.metadata.topic("t", timeout_s=2)
                assert client.clock.monotonic() - began < 2.1
        async with world.client("dead:1") as client:
            with pytest.raises(UnavailableError, match="dead:1"):
                await client.metadata.topic("t", timeout_s=2)

    in_world(story)


async def seconds_until_refused(client: Client, timeout_s: float) -> tuple[float, str]:
    """How long a question to the coordinators is asked in vain, and what is said then."""
    began_s = client.clock.monotonic()
    with pytest.raises((UnavailableError, TimedOutError)) as raised:
        await client.coordinators.ask(Whom.ANY, GET_METADATA, GetMetadataRequest(), timeout_s=timeout_s)
    return client.clock.monotonic() - began_s, raised.value.message


def test_where_nobody_listens_is_told_in_short_and_soon_if_that_was_asked_for() -> None:
    async def story(world: World) -> None:
        for patience_s, least_s, most_s in ((float("inf"), 5.0, 5.1), (0.4, 0.4, 0.7)):
            async with world.client("dead:1,also-dead:1") as client:
                client.coordinators.patience_with_nobody_s = patience_s
                seconds, message = await seconds_until_refused(client, 5)
                assert least_s <= seconds <= most_s
                assert message == "no coordinator answers at dead:1, also-dead:1 (connection refused)"

    in_world(story)


def test_a_silent_coordinator_is_waited_for_however_many_others_are_dead() -> None:
    async def story(world: World) -> None:
        world.fabric.cut_both("client", "coordinator")
        async with world.client("dead:1,coordinator:7101") as client:
            client.coordinators.patience_with_nobody_s = 0.4
            seconds, message = await seconds_until_refused(client, 3)
            assert seconds >= 3 and message.endswith("could answer: connection refused")

    in_world(story)


def test_a_cluster_that_has_answered_once_is_waited_for() -> None:
    async def story(world: World) -> None:
        async with world.client() as client:
            client.coordinators.patience_with_nobody_s = 0.4
            await client.metadata.refresh()
            world.machines["coordinator"].kill()
            assert (await seconds_until_refused(client, 3))[0] >= 3

    in_world(story)


def test_offsets_take_no_longer_than_allowed_if_a_broker_is_silent() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client(request_timeout_ms=700) as client, Consumer(client) as consumer:
            await consumer.partitions_for("t")
            world.fabric.cut_both("client", "broker-1")
            began = client.clock.monotonic()
            with pytest.raises((UnavailableError, TimedOutError)):
                await consumer.end_offsets([("t", 0)])
            assert client.clock.monotonic() - began < 1

    in_world(story)


def test_many_topics_are_looked_up_together() -> None:
    async def story(world: World) -> None:
        starts: dict[tuple[str, int], Start] = {(f"t{number}", 0): 0 for number in range(300)}
        for topic, _ in starts:
            world.cluster.create_topic(topic)
        async with world.client() as client, Consumer(client) as consumer:
            began_s = client.clock.monotonic()
            await consumer.end_offsets(starts)
            assert client.clock.monotonic() - began_s < 1
        async with world.client() as client, Consumer(client) as consumer:
            began_s = client.clock.monotonic()
            await consumer.assign(starts)
            assert client.clock.monotonic() - began_s < 1

    in_world(story)


def test_one_new_topic_after_the_other_is_asked_for_at_once_even_amid_trouble() -> None:
    async def story(world: World) -> None:
        async with world.client() as client:
            for number in range(40):
                world.cluster.create_topic(f"t{number}")
                began_s = client.clock.monotonic()
                await client.metadata.topic(f"t{number}", timeout_s=10)
                assert client.clock.monotonic() - began_s < 0.01
                if number > 20:
                    client.metadata.refresh_soon()
                    await world.sleep(0.03)

    in_world(story)


def test_however_many_topics_are_asked_about_no_more_time_is_taken_than_allowed() -> None:
    async def story(world: World) -> None:
        world.fabric.cut_both("client", "coordinator")
        async with world.client(request_timeout_ms=700) as client, Consumer(client) as consumer:
            began_s = client.clock.monotonic()
            with pytest.raises(TimedOutError):
                await consumer.end_offsets([("t", number) for number in range(300)])
            assert client.clock.monotonic() - began_s < 1.5

    in_world(story)


def test_that_no_coordinator_answers_is_logged_once_and_so_is_that_one_does_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            await client.metadata.topic("t", timeout_s=1)
            world.fabric.cut_both("client", "coordinator")
            client.metadata.refresh_soon()
            await world.sleep(120)
            world.fabric.heal()
            await world.until(lambda: "coordinators answer again" in caplog.messages)

    caplog.set_level("INFO", logger="streamkeep")
    in_world(story)
    told = [message.partition(":")[0] for message in caplog.messages]
    assert told.count("metadata could not be refreshed, and is asked for until it is") == 1
    assert told.count("coordinators answer again") == 1


def test_the_address_of_a_broker_is_told_from_a_coordinators() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client("broker-1:7201") as client:
            began = client.clock.monotonic()
            with pytest.raises(NotACoordinatorError, match="Give the address of a coordinator"):
                await client.metadata.topic("t", timeout_s=5)
            assert client.clock.monotonic() - began < 1

    in_world(story)


def test_a_storm_of_trouble_becomes_a_few_questions() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            await client.metadata.topic("t", timeout_s=10)
            for most in (22, 9, 9):  # a crash is over within the first second; what lasts is asked about less
                world.cluster.metadata_calls = 0
                for _ in range(1_000):
                    client.metadata.refresh_soon()
                    await world.sleep(0.001)
                assert world.cluster.metadata_calls <= most
            waits = [asyncio.ensure_future(client.metadata.refresh()) for _ in range(50)]
            world.cluster.metadata_calls = 0
            await asyncio.gather(*waits)
            assert world.cluster.metadata_calls <= 2

    in_world(story)


def test_topics_in_use_are_looked_at_now_and_then() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            await client.metadata.topic("t", timeout_s=10)
            world.cluster.metadata_calls = 0
            await world.sleep(600)
            assert 8 <= world.cluster.metadata_calls <= 12

    in_world(story)


def test_a_broker_that_doubts_its_leadership_makes_the_client_ask_once_a_second_and_stay() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            await consumer.assign([("t", 0)])
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(1)
            world.cluster.unconfirmed = True
            world.cluster.metadata_calls = 0
            await world.sleep(10)
            assert 5 <= world.cluster.metadata_calls <= 11
            async with Producer(client) as producer:
                await (await producer.send("t", b"x"))
            assert (await reading).value == b"x"

    in_world(story)


def test_a_closed_client_ends_what_uses_it() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        client = world.client()
        producer = Producer(client)
        await producer.start()
        await (await producer.send("t", b"x"))
        await client.close()
        with pytest.raises(ClosedError):
            await client.metadata.topic("other", timeout_s=1)
        await producer.close(timeout_ms=100)

    in_world(story)


async def test_a_forgotten_producer_is_told() -> None:
    producer = Producer("127.0.0.1:1")
    await producer.start()
    assert producer._sender is not None
    await producer._sender.close()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del producer
        gc.collect()


def test_options_that_make_no_sense_are_refused() -> None:
    client = Client("a:1")
    for options in (
        {"linger_ms": -1},
        {"batch_bytes": 0},
        {"batch_bytes": 2 << 20},
        {"buffer_bytes": 10},
        {"compression": "rar"},
        {"delivery_timeout_ms": 0},
        {"max_in_flight": 6},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            Producer(client, **options)
    with pytest.raises(ValueError, match="reset"):
        Consumer(client, reset="never")  # type: ignore[arg-type]
