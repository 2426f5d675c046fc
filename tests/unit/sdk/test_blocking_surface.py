"""The blocking SDK has the names, the signatures and the documentation of the asyncio one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_overloads

import pytest

import streamkeep
import streamkeep.blocking

TWINS = ["Admin", "Client", "Consumer", "Deliveries", "Delivery", "Producer"]
"""What exists twice. All else is the very same object."""

BLOCKING_NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "__await__": "result",
}
DIFFERENT = {"Delivery": {"__init__", "result"}, "Deliveries": {"__init__", "result"}}
"""`result` stands for `await`, and takes a timeout. These two are not made by users."""


def surface(cls: type) -> dict[str, Callable[..., Any]]:
    """What users call, by its name in the blocking SDK."""
    return {
        BLOCKING_NAMES.get(name, name): member
        for name in dir(cls)
        if callable(member := getattr(cls, name))
        and (not name.startswith("_") or name in {"__init__", *BLOCKING_NAMES, *BLOCKING_NAMES.values()})
    }


def returned(function: Callable[..., Any]) -> str:
    """What a call gives in the end, whichever of the two is called."""
    annotation = str(inspect.signature(function).return_annotation)
    if annotation.startswith("AsyncGenerator["):
        return annotation.removeprefix("Async").removesuffix(", None]") + ", None, None]"
    return annotation


@pytest.mark.parametrize("name", TWINS)
def test_both_have_the_same_methods(name: str) -> None:
    theirs, ours = surface(getattr(streamkeep, name)), surface(getattr(streamkeep.blocking, name))
    assert set(ours) == set(theirs)


@pytest.mark.parametrize("name", TWINS)
def test_every_method_takes_and_returns_the_same(name: str) -> None:
    theirs, ours = surface(getattr(streamkeep, name)), surface(getattr(streamkeep.blocking, name))
    for method in sorted(set(theirs) - DIFFERENT.get(name, set())):
        expected, found = inspect.signature(theirs[method]), inspect.signature(ours[method])
        assert list(found.parameters.values()) == list(expected.parameters.values()), method
        assert returned(ours[method]) == returned(theirs[method]), method
        expected_forms = [inspect.signature(each).parameters for each in get_overloads(theirs[method])]
        found_forms = [inspect.signature(each).parameters for each in get_overloads(ours[method])]
        assert found_forms == expected_forms, method


@pytest.mark.parametrize("name", TWINS)
def test_every_method_is_documented_where_the_other_is(name: str) -> None:
    theirs, ours = getattr(streamkeep, name), getattr(streamkeep.blocking, name)
    assert inspect.getdoc(ours)
    for method, documented in surface(theirs).items():
        if not method.startswith("_") and method not in DIFFERENT.get(name, set()):
            assert bool(documented.__doc__) == bool(getattr(ours, method).__doc__), method


def test_nothing_waits_for_an_event_loop() -> None:
    for name in TWINS:
        for method, member in surface(getattr(streamkeep.blocking, name)).items():
            assert not inspect.iscoroutinefunction(member), (name, method)
            assert not inspect.isasyncgenfunction(member), (name, method)


@pytest.mark.parametrize("name", ["Delivery", "Deliveries"])
def test_result_takes_a_timeout_where_the_other_is_awaited(name: str) -> None:
    (_, timeout) = inspect.signature(getattr(streamkeep.blocking, name).result).parameters.values()
    assert (timeout.name, timeout.kind, timeout.default) == ("timeout_ms", timeout.KEYWORD_ONLY, None)


def test_both_packages_have_the_same_names_and_share_what_is_not_twofold() -> None:
    assert streamkeep.blocking.__all__ == streamkeep.__all__
    for name in streamkeep.__all__:
        ours, theirs = getattr(streamkeep.blocking, name), getattr(streamkeep, name)
        assert (ours is theirs) == (name not in TWINS), name
