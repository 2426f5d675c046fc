from __future__ import annotations

import importlib
from types import ModuleType

import pytest

PACKAGES = [
    "streamkeep",
    "streamkeep_common.image",
    "streamkeep_common.records",
    "streamkeep_common.seams",
    "streamkeep_common.settings",
]


def public_names(package: ModuleType) -> set[str]:
    """What a reader finds in the package: not its own submodules, not what `from __future__` leaves."""
    return {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_exactly_what_it_lists(name: str) -> None:
    package = importlib.import_module(name)
    listed = list(package.__all__)
    assert len(set(listed)) == len(listed)
    assert [name for name in listed if not hasattr(package, name)] == []
    assert public_names(package) <= set(listed)


def test_errors_are_named_in_tracebacks_as_they_are_imported() -> None:
    kinds = vars(importlib.import_module("streamkeep_common.errors")).values()
    told = importlib.import_module("streamkeep.errors")
    named = {kind.__name__: kind for kind in kinds if isinstance(kind, type)}
    assert {name: vars(told).get(name) for name in named} == named
    assert {f"{kind.__module__}.{name}" for name, kind in named.items()} == {
        f"streamkeep.errors.{name}" for name in told.__all__
    }
