"""Lines sent to a cluster that refuses them: what the person who sends them is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streamctl.failures import ExitCode, as_command_error
from streamctl.producing import LineSender, RecordForm
from streamkeep import Producer
from streamkeep.errors import NotEnoughReplicasError
from tests.unit.sdk.world import World, in_world

REFUSAL = NotEnoughReplicasError("t-0 needs 2 replicas in sync, and only these are: 1")


def test_lines_refused_below_min_isr_are_told_as_in_no_log_with_exit_code_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, delivery_timeout_ms=2_000) as producer:
            sender = LineSender(producer, "t", RecordForm())

            async def chunks(_descriptor: int) -> AsyncIterator[bytes]:
                yield b"one\ntwo\n"
                await world.until(lambda: sender.acknowledged == 2)
                world.cluster.produce_errors.extend([REFUSAL] * 100)
                yield b"three\n"

            monkeypatch.setattr("streamctl.producing.read_chunks", chunks)
            with pytest.raises(NotEnoughReplicasError) as raised:
                await sender.send_all(0)
        told = as_command_error(raised.value)
        assert told.exit_code == ExitCode.UNAVAILABLE
        assert "t-0 stored nothing of this for 2000 ms: t-0 needs 2 replicas in sync" in told.message
        assert "Bring brokers back" in told.message
        assert sender.acknowledged == 2 and log.values() == [b"one", b"two"]

    in_world(story)
