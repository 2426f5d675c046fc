"""Named limits and intervals of the broker's streams."""

from __future__ import annotations

HEARTBEAT_S = 0.4
"""An idle stream says something this often; clients expect it within 0.5 s."""

UNREAD_ANSWERS_S = 60.0
"""A producer that takes no answer for so long is served no more, and its room goes to all others. Its stream,
with the one answer that it does not take, ends when it reads on or goes."""

MAX_PARTITIONS_PER_REQUEST = 10_000
"""However cheap each is, the loop must come round for other clients."""

RESULT_BYTES = 512
"""What an unanswered batch costs besides its bytes; charged so that small ones are bounded too."""

MAX_RESULTS_PER_RESPONSE = 10_000
"""Each may carry a sentence or two, and all of them must fit into a message."""
