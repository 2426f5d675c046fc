"""Makes the C library keep freed memory for the next batch instead of giving it back to the system.

glibc maps every block of 128 KiB or more afresh and unmaps it when it is freed, so each batch of 256 KiB pays
for its page faults several times over: to encode and serialize one took 680 us instead of 130. When a mapped
block is freed, glibc takes its size as the new threshold, and twice that as what may stay free at the end of
the heap (mallopt(3), M_MMAP_THRESHOLD). With another C library this does nothing.
"""

from __future__ import annotations

from streamkeep_common.limits import MIB

_THRESHOLD_BYTES = 16 * MIB


def keep_freed_memory() -> None:
    """Call once in a process that handles batches. At most 32 MiB of freed memory are kept.

    The block that is made for it here is never touched, so it costs nothing.
    """
    bytes(_THRESHOLD_BYTES)
