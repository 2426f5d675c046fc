"""What an application may do with every batch on its way out of a consumer (KIP-42)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from streamkeep.consumer.records import ConsumedBatch

_logger = logging.getLogger(__name__)


class ConsumerInterceptor:
    """Sees what a consumer hands out; subclass it and give it as `Consumer(interceptors=[...])`.

    Called in the consumer's task, in the order given, each with what the one before returned. An exception is
    logged and does not stop the stream: the batch goes on as it was.
    """

    def on_consume(self, batch: ConsumedBatch[Any, Any]) -> ConsumedBatch[Any, Any]:
        """A batch, with its keys and values decoded, just before it or its first record is handed out.

        Return it, or another with records changed or left out. A record comes once, unless you seek to it.
        """
        return batch


def intercept(
    interceptors: Sequence[ConsumerInterceptor], batch: ConsumedBatch[Any, Any]
) -> ConsumedBatch[Any, Any]:
    """What all of them make of a batch, one after the other."""
    for interceptor in interceptors:
        try:
            answer = interceptor.on_consume(batch)
            if not isinstance(answer, ConsumedBatch):
                raise TypeError(f"on_consume has to return a ConsumedBatch, not {type(answer).__name__}")
            batch = answer
        except Exception:
            _logger.exception("%r failed at a batch of %s", interceptor, batch.topic_partition)
    batch.finished = True
    return batch
