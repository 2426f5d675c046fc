"""What can go wrong with a cluster for tests, beside what the SDK itself raises."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_MODULES: Final = {
    "server": ("grpc_health", "grpc_reflection", "prometheus_client", "structlog"),
    "cli": ("click", "rich"),
}
"""What each extra brings."""


class ClusterError(RuntimeError):
    """The cluster does not start, or cannot do what it is asked in the state it is in."""


class MissingExtraError(ImportError):
    """What the cluster is made of is not installed; the message says what to install."""


def require(*extras: str) -> None:
    """MissingExtraError unless these extras are installed."""
    missing = [module for extra in extras for module in _MODULES[extra] if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"streamkeep.testing starts real servers, and what they need is not installed "
            f"({', '.join(missing)}): pip install '/path/to/streamkeep[{','.join(extras)}]'",
            name=missing[0],
        )
