"""Finds 64-bit hashes in a hash table inside compiled kernels.

A table is an array of uint64 whose length is a power of two. 0 is a free slot, so it cannot be stored. A hash is in the
slot of its lowest bits, or in the first slots after it.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper

_1 = np.uint64(1)


@helper
def slot_of(hash_, table):
    """Returns the slot of a hash, or the free slot where it belongs.

    >>> table = np.array([8, 0, 0, 3], dtype=np.uint64)
    >>> [int(slot_of(np.uint64(hash_), table)) for hash_ in (8, 3, 4, 7)]
    [0, 3, 1, 1]
    """
    mask = np.uint64(len(table) - 1)
    slot = hash_ & mask
    while table[slot] and table[slot] != hash_:
        slot = (slot + _1) & mask
    return np.int64(slot)
