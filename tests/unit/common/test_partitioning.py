from __future__ import annotations

import pytest

from streamkeep_common import partitioning
from streamkeep_common.partitioning import KeyHashes, murmur2, murmur2_fallback

# As Kafka's own client computes them, there as signed numbers.
KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def partition_for_key(key: bytes, partitions: int) -> int:
    return (murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(("key", "signed"), KAFKA_VECTORS.items())
@pytest.mark.parametrize("function", [murmur2, murmur2_fallback], ids=["chosen", "fallback"])
def test_the_hash_is_kafkas(function, key: bytes, signed: int) -> None:  # type: ignore[no-untyped-def]
    assert function(key) == signed % 2**32


def test_a_key_goes_where_kafka_sends_it() -> None:
    # The sign bit is masked, not taken off by abs().
    hashes = KeyHashes()
    assert hashes[b"21"] % 6 == (-973932308 & 0x7FFFFFFF) % 6
    assert hashes[b""] % 5 == partition_for_key(b"", 5)


def test_remembered_hashes_agree_with_computed_ones() -> None:
    hashes = KeyHashes()
    for key in [b"", b"a", b"UA", b"UA", b"k" * 64, b"k" * 65, b"k" * 1000]:
        assert hashes[key] % 7 == partition_for_key(key, 7)


def test_remembered_hashes_are_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitioning, "REMEMBERED_KEYS", 10)
    hashes = KeyHashes()
    for number in range(1_000):
        key = b"%d" % number
        assert hashes[key] % 3 == partition_for_key(key, 3)
        assert len(hashes) <= 10
    hashes.clear()
    assert hashes[b"k" * 65] == hashes[b"k" * 65]
    assert len(hashes) == 0
