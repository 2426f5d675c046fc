from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamkeep_common.partitioning import KeyHashes, murmur2, murmur2_fallback


@given(st.binary(max_size=100))
def test_the_hash_that_was_chosen_and_the_fallback_agree(key: bytes) -> None:
    assert murmur2(key) == murmur2_fallback(key)


@given(st.lists(st.binary(max_size=100), max_size=20), st.integers(1, 1_000))
def test_every_key_has_one_partition_of_its_topic(keys: list[bytes], partitions: int) -> None:
    hashes = KeyHashes()
    for key in keys:
        assert hashes[key] % partitions == (murmur2_fallback(key) & 0x7FFFFFFF) % partitions
        assert 0 <= hashes[key] % partitions < partitions
