"""Hypothesis strategies for columns of records and for the batches made of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streamkeep_common.limits import MAX_SEQUENCE, MAX_TIMESTAMP_MS
from streamkeep_common.records import Codec

ITEMS = st.one_of(st.none(), st.binary(max_size=40), st.binary(min_size=120, max_size=300))
TIMESTAMPS = st.integers(0, MAX_TIMESTAMP_MS)
HEADERS = st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=20)), max_size=3)


@st.composite
def columns(draw: st.DrawFn, *, max_records: int = 30) -> dict[str, Any]:
    """Arguments of encode_batch: every shape that a producer may send."""
    count = draw(st.integers(1, max_records))

    def column(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(items, min_size=count, max_size=count)

    return {
        "values": draw(column(ITEMS)),
        "keys": draw(st.none() | column(ITEMS)),
        "timestamps_ms": draw(TIMESTAMPS | column(TIMESTAMPS)),
        "headers": draw(st.none() | st.dictionaries(st.integers(0, count - 1), HEADERS, max_size=4)),
        "codec": draw(st.sampled_from(Codec)),
        "producer_id": draw(st.integers(1, 2**63 - 1)),
        "producer_epoch": draw(st.integers(0, 2**31 - 1)),
        "base_sequence": draw(st.integers(0, MAX_SEQUENCE)),
    }


@st.composite
def stamps(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of stamp: what a leader adds."""
    return {
        "base_offset": draw(st.integers(0, 2**62)),
        "leader_epoch": draw(st.integers(1, 2**31 - 1)),
        "append_time_ms": draw(TIMESTAMPS),
        "log_append_time": draw(st.booleans()),
    }
