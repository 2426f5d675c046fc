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
