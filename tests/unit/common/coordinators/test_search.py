"""A question goes round until it is answered: quickly past the dead, the hung and the misinformed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from streamkeep_common.coordinators import CoordinatorAddresses, Search, Verdict
from streamkeep_common.coordinators.search import PATIENCE_S
from streamkeep_common.errors import (
    ClusterMismatchError,
    NotActiveError,
    ShuttingDownError,
    StreamkeepError,
    TopicExistsError,
    UnavailableError,
)
from streamkeep_common.retry import RetryPolicy
from tests.sim.simulation import Machine, Simulation, run_simulation

Answer = Callable[[], Awaitable[str]]
PACE = RetryPolicy(first_wait_ms=50, max_wait_ms=100)


class Town:
    """Coordinators by name, each with what it does when it is asked."""

    def __init__(self, simulation: Simulation, *names: str) -> None:
        self.machine: Machine = simulation.machine("client")
        self.clock = self.machine.clock
        self.addresses = CoordinatorAddresses(names)
        self.behaviour: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.discarded: list[str] = []
        self.under_way: Counter[str] = Counter()

    def answers(self, name: str, text: str = "", *, after_s: float = 0.001) -> None:
        async def answer() -> str:
            await self.clock.sleep(after_s)
            return text or name

        self.behaviour[name] = answer

    def fails(self, name: str, error: StreamkeepError) -> None:
        async def refuse() -> str:
            await self.clock.sleep(0.001)
            raise error

        self.behaviour[name] = refuse

    def hangs(self, name: str) -> None:
        self.answers(name, after_s=10_000)

    async def ask(self, name: str) -> str:
        self.asked.append(name)
        self.under_way[name] += 1
        assert self.under_way[name] == 1, "asked twice at the same time"
        try:
            return await self.behaviour[name]()
        finally:
            self.under_way[name] -= 1

    async def search(self, *, timeout_s: float = 10.0, active_first: bool = True) -> tuple[str, float]:
        """The answer, and how long it took."""
        began_s = self.clock.monotonic()
        search = Search(
            self.addresses,
            self.ask,
            judge=_judge,
            active_first=active_first,
            clock=self.clock,
            rng=self.machine.rng,
            pace=PACE,
            second_best=lambda answer: answer.startswith("stale"),
            discard=self.discard,
        )
        found = await search.run(timeout_s=timeout_s)
        return found, self.clock.monotonic() - began_s

    async def discard(self, answer: str) -> None:
        self.discarded.append(answer)


def _judge(error: StreamkeepError) -> Verdict:
    if isinstance(error, ClusterMismatchError):
        return Verdict.ELSEWHERE
    return Verdict.FINAL if isinstance(error, TopicExistsError) else Verdict.LATER


def in_town(*names: str) -> Callable[[Callable[[Town], Awaitable[None]]], Callable[[], None]]:
    def decorate(story: Callable[[Town], Awaitable[None]]) -> Callable[[], None]:
        async def live(simulation: Simulation) -> None:
            await story(Town(simulation, *names))

        def test() -> None:
            run_simulation(1, live)

        return test

    return decorate


@in_town("a", "b", "c")
async def test_a_hung_one_costs_little_once_and_nothing_afterwards(town: Town) -> None:
    town.hangs("a")
    town.answers("b")
    found, took_s = await town.search()
    assert found == "b"
    assert PATIENCE_S <= took_s < PATIENCE_S + 0.05
    found, took_s = await town.search()
    assert (found, town.asked[2:]) == ("b", ["b"])
    assert took_s < 0.05


@in_town("a", "b", "c")
async def test_dead_coordinators_cost_a_search_no_time(town: Town) -> None:
    town.fails("a", UnavailableError("refused"))
    town.fails("b", UnavailableError("refused"))
    town.answers("c")
    found, took_s = await town.search()
    assert found == "c"
    assert took_s < 0.05


@in_town("a", "b")
async def test_one_that_is_stopping_is_not_asked_first_again(town: Town) -> None:
    town.fails("a", ShuttingDownError())
    town.answers("b")
    await town.search()
    await town.search()
    assert town.asked == ["a", "b", "b"]


@in_town("a", "b", "c")
async def test_a_slow_one_is_listened_to_while_others_are_asked(town: Town) -> None:
    town.answers("a", after_s=2.0)
    for name in ("b", "c"):
        town.fails(name, NotActiveError("not me", active_address="a"))
    found, took_s = await town.search()
    assert found == "a"
    assert took_s < 2.01
    assert Counter(town.asked)["a"] == 1


@in_town("a", "b")
async def test_the_active_one_is_followed_at_once_also_to_an_unknown_address(town: Town) -> None:
    town.fails("a", NotActiveError("not me", active_address="new"))
    town.hangs("b")
    town.answers("new")
    found, took_s = await town.search()
    assert (found, town.asked) == ("new", ["a", "new"])
    assert took_s < 0.05
    await town.search()
    assert town.asked == ["a", "new", "new"], "it is remembered"


@in_town("a", "b")
async def test_two_that_name_each_other_are_not_asked_in_a_frenzy(town: Town) -> None:
    town.fails("a", NotActiveError("not me", active_address="b"))
    town.fails("b", NotActiveError("not me", active_address="a"))
    with pytest.raises(TimeoutError):
        await town.search(timeout_s=2.0)
    assert len(town.asked) < 100


@in_town("a", "b", "c")
async def test_an_election_is_waited_for_although_the_old_active_one_hangs(town: Town) -> None:
    """Until it is over the others may still name the one that hangs."""
    town.answers("a")
    await town.search()
    town.hangs("a")
    for name in ("b", "c"):
        town.fails(name, NotActiveError("not me", active_address="a"))

    async def elect() -> None:
        await town.clock.sleep(1.2)
        town.answers("c")
        town.fails("b", NotActiveError("not me", active_address="c"))

    electing = town.machine.spawn(elect())
    found, took_s = await town.search()
    await electing
    assert found == "c"
    assert took_s < 1.4


@in_town("a", "b")
async def test_what_nobody_would_answer_differently_is_raised_at_once(town: Town) -> None:
    town.fails("a", TopicExistsError("there is one"))
    with pytest.raises(TopicExistsError):
        await town.search()
    assert town.asked == ["a"]


@in_town("a", "b")
async def test_strangers_are_passed_over_and_if_all_are_strangers_that_is_the_answer(town: Town) -> None:
    town.fails("a", ClusterMismatchError("another cluster"))
    town.answers("b")
    assert (await town.search())[0] == "b"
    town.fails("b", ClusterMismatchError("another cluster"))
    with pytest.raises(ClusterMismatchError):
        await town.search()


@in_town("a", "b")
async def test_a_stranger_does_not_end_the_search_while_others_are_only_down(town: Town) -> None:
    town.fails("a", ClusterMismatchError("another cluster"))
    town.fails("b", UnavailableError("refused"))

    async def rise() -> None:
        await town.clock.sleep(5)
        town.answers("b")

    rising = town.machine.spawn(rise())
    assert (await town.search())[0] == "b"
    await rising


@in_town("a", "b", "c")
async def test_a_second_best_answer_counts_if_nobody_has_a_better_one(town: Town) -> None:
    town.answers("a", "stale: old news")
    town.answers("b", "fresh", after_s=0.1)
    assert (await town.search())[0] == "fresh"
    town.addresses.served("a", as_active=True)
    town.fails("b", UnavailableError("refused"))
    town.hangs("c")
    found, took_s = await town.search()
    assert found == "stale: old news"
    assert took_s < PATIENCE_S + 0.05


@in_town("a", "b")
async def test_two_answers_at_once_are_one_answer_and_one_to_discard(town: Town) -> None:
    town.addresses.failed("a")
    town.addresses.failed("b")
    town.answers("a", after_s=0.5)
    town.answers("b", after_s=0.5)
    found, _ = await town.search()
    assert sorted([found, *town.discarded]) == ["a", "b"]


@in_town("a")
async def test_time_is_up_when_it_is_up(town: Town) -> None:
    town.hangs("a")
    began_s = town.clock.monotonic()
    with pytest.raises(TimeoutError):
        await town.search(timeout_s=1.5)
    assert town.clock.monotonic() - began_s == pytest.approx(1.5, abs=0.01)
    assert town.under_way["a"] == 0, "the question is withdrawn"


@in_town("a")
async def test_a_bug_is_not_an_unavailable_coordinator(town: Town) -> None:
    async def stumble() -> str:
        raise KeyError("oops")

    town.behaviour["a"] = stumble
    with pytest.raises(KeyError):
        await town.search()
