"""Reading for ever, while topics and partitions come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streamctl.consuming import Sink
from streamctl.following import Watch, follow
from streamctl.records.format_string import compile_format
from streamctl.topic_choice import TopicChoice
from streamkeep import Consumer, Producer
from streamkeep.errors import UnavailableError, UnknownTopicError
from tests.unit.sdk.fake_partition import FakePartition
from tests.unit.sdk.world import World, in_world


class Reader:
    """What has been printed of the topics that are followed."""

    def __init__(self, world: World, producer: Producer) -> None:
        self.world = world
        self.producer = producer
        self.lines: list[bytes] = []
        self.failures = 0
        self.done: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        self.lines += data.splitlines()

    async def look(self) -> dict[str, int]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("nobody answers")
        return {name: len(partitions) for name, partitions in self.world.cluster.topics.items()}

    async def shows(self, *lines: bytes) -> None:
        await self.world.until(lambda: sorted(self.lines) == sorted(lines))

    async def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        await self.producer.send(topic, value, partition=partition)


def while_following(
    names: list[str], story: Callable[[Reader], Awaitable[None]], *, count: int | None = None
) -> None:
    @asynccontextmanager
    async def following(world: World) -> AsyncIterator[Reader]:
        world.cluster.create_topic("log-a")
        async with world.client() as client, Producer(client) as producer, Consumer(client) as consumer:
            reader = Reader(world, producer)
            choice = TopicChoice(names)
            starts = await consumer.beginning_offsets(choice.places(await reader.look()))
            watch = Watch(consumer, choice, look=reader.look, refresh=client.metadata.refresh, known=starts)
            sink = Sink(compile_format("%t-%p:%s\\n"), reader.write, count=count)
            reader.done = asyncio.create_task(follow(consumer, starts, sink, watch))
            try:
                yield reader
            finally:
                reader.done.cancel()
                await asyncio.wait([reader.done])

    async def live(world: World) -> None:
        async with following(world) as reader:
            await story(reader)

    in_world(live)


def test_new_topics_of_a_pattern_are_read_from_their_beginning_and_nothing_comes_twice() -> None:
    async def story(reader: Reader) -> None:
        await reader.send("log-a", b"1")
        await reader.shows(b"log-a-0:1")
        reader.world.cluster.create_topic("log-b", 2)
        reader.world.cluster.create_topic("other")
        await reader.send("log-b", b"2", partition=1)
        await reader.send("other", b"3")
        await reader.shows(b"log-a-0:1", b"log-b-1:2")
        await reader.send("log-a", b"4")
        await reader.send("log-b", b"5")
        await reader.shows(b"log-a-0:1", b"log-b-1:2", b"log-a-0:4", b"log-b-0:5")

    while_following(["log-*"], story)


def test_new_partitions_of_a_topic_are_read_too_also_when_a_look_fails() -> None:
    async def story(reader: Reader) -> None:
        await reader.send("log-a", b"1")
        await reader.shows(b"log-a-0:1")
        reader.failures = 2
        cluster = reader.world.cluster
        (first,) = cluster.topics["log-a"]
        cluster.metadata_index += 1
        cluster.topics["log-a"].append(FakePartition(first.topic_id, 1, first.leader))
        async with reader.world.client() as client, Producer(client) as another:
            await another.send("log-a", b"2", partition=1)
        await reader.shows(b"log-a-0:1", b"log-a-1:2")

    while_following(["log-a"], story)


def test_a_topic_of_a_pattern_that_is_deleted_is_left_out_and_read_when_it_comes_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story(reader: Reader) -> None:
        world = reader.world
        world.cluster.create_topic("log-b")
        await reader.send("log-b", b"1")
        await reader.shows(b"log-b-0:1")
        world.cluster.delete_topic("log-b")
        async with world.client() as client:
            await client.metadata.refresh()
        await world.until(lambda: "topic 'log-b' was deleted" in capsys.readouterr().err, within_s=120)
        await reader.send("log-a", b"2")
        await reader.shows(b"log-b-0:1", b"log-a-0:2")
        world.cluster.create_topic("log-b")
        async with world.client() as client, Producer(client) as another:
            await another.send("log-b", b"3")
        await reader.shows(b"log-b-0:1", b"log-a-0:2", b"log-b-0:3")

    while_following(["log-*"], story)


def test_a_topic_that_was_named_and_is_deleted_ends_it() -> None:
    async def story(reader: Reader) -> None:
        assert reader.done is not None
        reader.world.cluster.delete_topic("log-a")
        with pytest.raises(UnknownTopicError):
            await reader.done

    while_following(["log-a"], story)


def test_it_ends_when_enough_was_written() -> None:
    async def story(reader: Reader) -> None:
        assert reader.done is not None
        for number in range(5):
            await reader.send("log-a", b"%d" % number)
        await reader.done
        assert reader.lines == [b"log-a-0:0", b"log-a-0:1", b"log-a-0:2"]

    while_following(["log-a"], story, count=3)


def test_a_pattern_may_match_nothing_at_first() -> None:
    async def story(reader: Reader) -> None:
        reader.world.cluster.create_topic("new")
        await reader.send("new", b"1")
        await reader.shows(b"new-0:1")

    while_following(["n?w"], story)
