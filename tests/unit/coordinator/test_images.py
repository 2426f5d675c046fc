from __future__ import annotations

import pytest

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.images import Images
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord, NoOpRecord, ProducerIdsRecord

NO_OP = MetadataRecord(no_op=NoOpRecord())


def ids(next_producer_id: int) -> MetadataRecord:
    return MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=next_producer_id))


def entry(index: int, *records: MetadataRecord, term: int = 1) -> MetadataEntry:
    return MetadataEntry(index=index, term=term, records=records or [NO_OP])


def active() -> Images:
    images = Images(ClusterImage(), 0)
    images.commit(entry(1), 10)
    images.begin()
    return images


def propose(images: Images, *records: MetadataRecord) -> None:
    images.propose(images.after(records))


def test_a_coordinator_that_is_not_active_applies_what_is_committed() -> None:
    images = Images(ClusterImage(), 0)
    images.commit(entry(1, ids(7), term=3), 10)
    assert (images.committed.next_producer_id, images.committed_term) == (7, 3)
    assert images.feed.after(0) == [entry(1, ids(7), term=3)]
    with pytest.raises(AssertionError):
        _ = images.proposed


def test_what_is_proposed_is_seen_by_the_next_command_and_by_readers_once_it_is_committed() -> None:
    images = active()
    propose(images, ids(5))
    propose(images, ids(9))
    assert (images.proposed.next_producer_id, images.committed.next_producer_id) == (9, 1)
    images.commit(entry(2, ids(5)), 10)
    assert (images.proposed.next_producer_id, images.committed.next_producer_id) == (9, 5)


def test_what_was_proposed_is_forgotten_with_leadership_and_applied_if_it_is_committed_later() -> None:
    images = active()
    propose(images, ids(5))
    propose(images, ids(9))
    images.end()
    images.commit(entry(2, ids(5)), 10)
    images.commit(entry(3, NO_OP, term=2), 10)
    assert (images.committed.next_producer_id, images.committed_term) == (5, 2)


def test_who_becomes_active_again_begins_with_what_is_committed() -> None:
    images = active()
    propose(images, ids(5))
    images.end()
    images.commit(entry(2, NO_OP, term=3), 10)
    images.begin()
    assert images.proposed is images.committed
    propose(images, ids(2))
    images.commit(entry(3, ids(2), term=3), 10)
    assert images.committed.next_producer_id == 2


def test_an_installed_snapshot_takes_the_place_of_everything_before_it() -> None:
    images = Images(ClusterImage(), 0)
    images.commit(entry(1), 10)
    images.install(ClusterImage(index=40, next_producer_id=8), 6)
    assert (images.committed.index, images.committed_term) == (40, 6)
    assert images.feed.after(1) is None
    images.commit(entry(41, ids(9), term=6), 10)
    assert images.feed.after(40) == [entry(41, ids(9), term=6)]


def test_a_snapshot_never_takes_the_image_back() -> None:
    images = active()
    images.end()
    with pytest.raises(AssertionError):
        images.install(ClusterImage(index=1), 1)
