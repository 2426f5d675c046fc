from __future__ import annotations

import asyncio

import pytest

from streamkeep_coordinator import entry_feed
from streamkeep_coordinator.entry_feed import EntryFeed
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry


def filled(first: int, last: int, size: int = 10) -> EntryFeed:
    feed = EntryFeed(first - 1)
    for index in range(first, last + 1):
        feed.append(MetadataEntry(index=index), size)
    return feed


def indexes(entries: list[MetadataEntry] | None) -> list[int] | None:
    return None if entries is None else [entry.index for entry in entries]


def test_entries_after_an_index_are_given_in_order() -> None:
    feed = filled(5, 9)
    assert indexes(feed.after(4)) == [5, 6, 7, 8, 9]
    assert indexes(feed.after(7)) == [8, 9]
    assert indexes(feed.after(9)) == []


def test_what_is_not_kept_any_more_is_not_given() -> None:
    feed = filled(5, 9)
    assert feed.after(3) is None
    assert feed.after(-1) is None


def test_nothing_follows_for_who_is_ahead() -> None:
    feed = filled(5, 9)
    assert indexes(feed.after(10)) == []
    feed.append(MetadataEntry(index=10), 10)
    feed.append(MetadataEntry(index=11), 10)
    assert indexes(feed.after(10)) == [11]


def test_after_an_installed_snapshot_who_is_behind_it_starts_over() -> None:
    feed = filled(5, 9)
    feed.restart(20)
    assert feed.after(9) is None
    assert indexes(feed.after(20)) == []
    feed.append(MetadataEntry(index=21), 10)
    assert indexes(feed.after(20)) == [21]


async def test_an_installed_snapshot_wakes_who_waits() -> None:
    feed = filled(1, 1)
    waiter = asyncio.create_task(feed.wait_past(1, timeout_s=60))
    await asyncio.sleep(0)
    assert not waiter.done()
    feed.restart(5)
    async with asyncio.timeout(10):
        await waiter


def test_it_keeps_a_bounded_number_of_entries_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_feed, "MAX_ENTRIES", 3)
    assert indexes(filled(1, 9).after(6)) == [7, 8, 9]
    assert filled(1, 9).after(5) is None
    monkeypatch.setattr(entry_feed, "MAX_BYTES", 25)
    assert indexes(filled(1, 9).after(7)) == [8, 9]
    assert filled(1, 9).after(6) is None


def test_an_entry_larger_than_the_bound_is_still_given() -> None:
    assert indexes(filled(1, 2, size=entry_feed.MAX_BYTES * 2).after(1)) == [2]


def test_a_response_is_bounded_but_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_feed, "RESPONSE_BYTES", 25)
    assert indexes(filled(1, 9).after(0)) == [1, 2]
    assert indexes(filled(1, 9, size=100).after(0)) == [1]
    monkeypatch.setattr(entry_feed, "RESPONSE_ENTRIES", 1)
    assert indexes(filled(1, 9).after(3)) == [4]


async def test_who_waits_is_woken_by_the_next_entry() -> None:
    feed = filled(1, 1)
    waiter = asyncio.create_task(feed.wait_past(1, timeout_s=60))
    await asyncio.sleep(0)
    assert not waiter.done()
    feed.append(MetadataEntry(index=2), 10)
    async with asyncio.timeout(10):
        await waiter
        await feed.wait_past(1, timeout_s=60)


async def test_who_waits_in_vain_is_told_nothing_after_the_timeout() -> None:
    feed = filled(1, 1)
    await feed.wait_past(1, timeout_s=0.001)
    assert feed.committed_index == 1
