from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from streamctl.dev.plan import coordinator_count, first_port, plan_cluster
from streamctl.dev.ports import candidates, is_taken, settled
from streamkeep_common.settings import BROKER_SETTINGS, COORDINATOR_SETTINGS

EVERYONE = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103"


def test_the_default_ports_are_the_documented_ones() -> None:
    plan = plan_cluster(Path("/d"))
    assert [server.address for server in plan.servers] == [
        "127.0.0.1:7101",
        "127.0.0.1:7102",
        "127.0.0.1:7103",
        "127.0.0.1:7201",
        "127.0.0.1:7202",
        "127.0.0.1:7203",
    ]
    assert (
        len({server.data_dir for server in plan.servers}) == len({server.log for server in plan.servers}) == 6
    )


def options(arguments: list[str]) -> dict[str, str]:
    """What is said of each setting."""
    return {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(arguments[2::2], arguments[3::2], strict=True)
    }


def test_everybody_is_told_of_every_coordinator() -> None:
    plan = plan_cluster(Path("/d"), brokers=1)
    for coordinator in plan.coordinators:
        settings = COORDINATOR_SETTINGS.values(options(coordinator.arguments(plan.coordinators)))
        assert settings["initial_members"] == tuple(
            (number, address) for number, address in enumerate(EVERYONE.split(","), 1)
        )
        assert settings["listen"] == coordinator.address
    (broker,) = plan.brokers
    settings = BROKER_SETTINGS.values(options(broker.arguments(plan.coordinators)))
    assert settings["coordinators"] == tuple(EVERYONE.split(","))


@pytest.mark.parametrize(
    ("asked", "present", "count"),
    [
        (None, [], 3),
        (None, [1], 1),
        (None, [1, 2, 3], 3),
        (None, [1, 3], 3),
        (5, [], 5),
        (3, [1], 3),
        (2, [1, 2, 3], 2),
    ],
)
def test_as_many_coordinators_start_as_hold_the_data(
    asked: int | None, present: list[int], count: int
) -> None:
    assert coordinator_count(asked, present) == count


def test_a_minority_is_not_started_alone() -> None:
    with pytest.raises(ValueError, match="1 of the 3 coordinators"):
        coordinator_count(1, [1, 2, 3])


def test_port_base_zero_draws_free_ports_that_differ_and_stay() -> None:
    plan = settled(plan_cluster(Path("/d"), port_base=0), random.Random(1))
    ports = [server.port for server in plan.servers]
    assert len(set(ports)) == 6 and all(ports)
    assert not any(map(is_taken, plan.servers))
    again = plan_cluster(Path("/d"), brokers=4, port_base=0).with_ports(plan.ports)
    assert [server.port for server in again.servers] == [*ports, 0]


@pytest.mark.parametrize(
    ("known", "base"),
    [
        ({}, 7101),
        ({"coordinator 1": 7101, "coordinator 2": 7102, "broker 1": 7201}, 7101),
        ({"coordinator 1": 9000, "broker 1": 9100}, 9000),
        ({"coordinator 1": 23_456, "broker 1": 12_345}, 0),
        ({"broker 1": 7201}, 0),
    ],
)
def test_processes_that_are_added_get_ports_as_the_others_did(known: dict[str, int], base: int) -> None:
    assert first_port(known) == base


def test_a_port_on_which_somebody_listens_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("streamctl.dev.ports.candidates", lambda _: range(port, port + 1))
        with pytest.raises(OSError, match="no free port"):
            settled(plan_cluster(Path("/d"), port_base=0), random.Random(1))


def test_ports_are_drawn_below_those_of_outgoing_connections_if_there_is_room() -> None:
    assert candidates("32768\t60999\n") == range(10_000, 32_768)
    assert len(candidates("1024 65535")) > 1_000
