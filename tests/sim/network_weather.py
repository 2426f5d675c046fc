"""How bad the simulated network is; all of it may be changed at any moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

Tap = Callable[[str, str, bytes], None]
"""Called with the host that sends, the host that is meant, and the message."""


@dataclass
class MessageWeather:
    """What may happen to single messages inside the streams of one method. Seconds, and odds per message.

    gRPC's streams lose nothing and keep the order, so this is only for methods whose messages promise to bear
    more (Raft's). A stream's first message, which says what the stream is, is spared. A *slow* message keeps
    its place: it holds up what is behind it on its connection.
    """

    drop_odds: float = 0.0
    duplicate_odds: float = 0.0
    late_odds: float = 0.0
    late_s: tuple[float, float] = (1e-3, 0.2)
    slow_odds: float = 0.0
    slow_s: tuple[float, float] = (0.1, 2.0)

    def fates(self, rng: random.Random) -> list[float]:
        """The delay of each copy; none: it is lost."""
        if rng.random() < self.drop_odds:
            return []
        copies = 2 if rng.random() < self.duplicate_odds else 1
        return [self._lateness_s(rng) for _ in range(copies)]

    def slowness_s(self, rng: random.Random) -> float:
        return rng.uniform(*self.slow_s) if rng.random() < self.slow_odds else 0.0

    def _lateness_s(self, rng: random.Random) -> float:
        return rng.uniform(*self.late_s) if rng.random() < self.late_odds else 0.0


@dataclass
class Weather:
    """Of all connections; of single messages, by the path of a method. Seconds, and odds per message."""

    latency_s: tuple[float, float] = (0.1e-3, 1e-3)
    spike_odds: float = 0.0
    spike_s: float = 0.2
    break_odds: float = 0.0
    of_messages: dict[str, MessageWeather] = field(default_factory=dict)
