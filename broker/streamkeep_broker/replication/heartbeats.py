"""Heartbeats of replication streams, both ways, and when silence means that the other side is gone."""

from __future__ import annotations

HEARTBEAT_S = 0.4
"""An idle side says something this often."""

SILENCE_S = 1.0
"""Who says nothing for so long is taken for gone: it may be stopped with its connections open."""

assert 2 * HEARTBEAT_S < SILENCE_S, "one heartbeat that is late breaks nothing"
