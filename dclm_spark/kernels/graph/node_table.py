"""Numbers 64-bit ids by first appearance, and stores values for each number.

A hash table of slots maps an id to its number, so that a node needs 8 bytes, 8 to 16 bytes of slots, and the bytes of
its values.
"""

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, inlined, kernel

_FIRST_ROOM = 1 << 10
_MAX_NODES = (1 << 31) - 1  # a number has 32 bits


class NodeTable:
    """Holds the arrays for kernels that call `number_of`: `ids`, `values` and `slots`; the first `n_nodes` are used.

    Args:
        types: NumPy types of the values of a node. The kernel sets the values of a new node.
    """

    def __init__(self, *types: type):
        self.n_nodes = 0
        self.ids = np.empty(_FIRST_ROOM, dtype=np.int64)
        self.values: list[np.ndarray] = [np.empty(_FIRST_ROOM, dtype=type_) for type_ in types]
        self.slots = np.zeros(2 * _FIRST_ROOM, dtype=np.int32)  # a node's number plus 1; 0 is free

    def make_room(self, n_more: int) -> None:
        """Makes room for `n_more` nodes."""
        n_nodes = self.n_nodes + n_more
        room = len(self.ids)
        if n_nodes <= room:
            return
        if n_nodes > _MAX_NODES:
            raise OverflowError(f"{self.n_nodes:,} nodes lie in one table, which has no room for more.")
        while room < n_nodes:
            room *= 2
        self.slots = np.zeros(0, dtype=np.int32)  # freed before the new array is made, which is filled from the ids
        self.ids = self._grown(self.ids, room)
        self.values = [self._grown(value, room) for value in self.values]
        self.slots = np.zeros(2 * room, dtype=np.int32)
        _fill_slots(self.slots, self.ids, self.n_nodes)

    def _grown(self, array: np.ndarray, room: int) -> np.ndarray:
        grown = np.empty(room, dtype=array.dtype)
        grown[: self.n_nodes] = array[: self.n_nodes]
        return grown


@helper
def number_of(id_, slots, ids, n_nodes):
    """Returns the number of an id in a table that has room; `n_nodes`, the next number, if the id is new."""
    mask = np.uint64(len(slots) - 1)
    slot = mixed(id_) & mask
    while True:
        number = slots[slot] - 1
        if number < 0:
            slots[slot] = n_nodes + 1
            ids[n_nodes] = id_
            return n_nodes
        if ids[number] == id_:
            return np.int64(number)
        slot = (slot + np.uint64(1)) & mask


@inlined
def mixed(id_):
    """Mixes all bits of an id, by the last steps of SplitMix64 (Steele et al. 2014), so that consecutive ids spread."""
    bits = np.uint64(id_)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@kernel
def _fill_slots(slots, ids, n_nodes):
    mask = np.uint64(len(slots) - 1)
    for number in range(n_nodes):
        slot = mixed(ids[number]) & mask
        while slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number + 1
