"""Named limits and intervals of the broker's streams."""

from __future__ import annotations

HEARTBEAT_S = 0.4
"""An idle stream says something this often; clients expect it within 0.5 s."""

MAX_BATCHES_PER_REQUEST = 10_000
"""A produce request carries at most one batch a partition."""

RESULT_BYTES = 512
"""What an unanswered batch costs besides its bytes; charged so that small ones are bounded too."""
