"""Assigns each document of a component to a survivor (its anchor), in one pass over documents in survivor order."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dclm_spark.kernels.bytes.binary import binary_buffers
from dclm_spark.kernels.compiled.jit import kernel
from dclm_spark.kernels.near.similarity import BYTES_OF_HASH, count_common
from dclm_spark.recipe.near_duplicates import NearDuplicates

MAX_ANCHORS = 1000
"""Largest number of survivors of one component that documents are compared with. A component with more is no real
cluster: documents that are similar to none of the first thousand survivors are kept, each alone."""

_NO_SHINGLES = pa.array([], pa.binary())


class _Documents(NamedTuple):
    """Documents to compare: their signatures, a matrix, and the buffers of their shingles."""

    signatures: np.ndarray
    shingles: np.ndarray
    bounds: np.ndarray


class _Rule(NamedTuple):
    """How documents are compared with survivors; `is_exact`: by shingles where the estimate is within the margin."""

    is_anchored: bool
    threshold: float
    margin: float
    is_exact: bool


class Anchors:
    """Holds the survivors of the current component; batches are processed in order, and a component may span several.

    With `clusters="components"` the first document of a component is the survivor of all. With `anchored` a document
    belongs to the first survivor that it is similar to; if there is none, it is a survivor itself.

    Args:
        n_permutations: Number of values in a signature.
        near: Its `clusters` and `threshold` are used.
    """

    def __init__(self, n_permutations: int, near: NearDuplicates):
        self._is_anchored = near.clusters == "anchored"
        self._threshold = near.threshold
        self._margin = exact_margin(near.threshold, n_permutations)
        self._root: int | None = None
        self._last: tuple[str, str] | None = None
        # The survivors of the component in which the last batch ended.
        self._signatures = np.empty((0, n_permutations), dtype=np.uint16)
        self._ids = pa.array([], pa.string())
        self._shingles = _NO_SHINGLES

    def assign(
        self,
        roots: np.ndarray,
        doc_ids: pa.Array,
        dumps: pa.Array,
        signatures: np.ndarray,
        shingles: pa.Array | None = None,
    ) -> tuple[pa.BooleanArray, pa.StringArray, pa.DoubleArray, pa.BooleanArray]:
        """Assigns each document of a batch to its survivor.

        Returns, for each document: whether it counts (false for a second row of the same document), the survivor's
        doc_id, the similarity to the survivor, and whether it is the survivor itself.

        Args:
            roots: Component of each document; the documents of a component are together.
            doc_ids: Ids of the documents, in the survivor order within a component.
            dumps: Dumps of the documents.
            signatures: Matrix (documents, permutations), uint16.
            shingles: Distinct shingles of each document, for exact similarities near the threshold.
        """
        n = len(roots)
        if n == 0:
            return tuple(pa.array([], type_) for type_ in (pa.bool_(), pa.string(), pa.float64(), pa.bool_()))
        keys = list(zip(doc_ids.to_pylist(), dumps.to_pylist(), strict=True))
        is_member = np.fromiter((key != last for key, last in zip(keys, [self._last, *keys], strict=False)), bool, n)
        is_same = np.empty(n, dtype=bool)
        is_same[0] = self._root == roots[0]
        is_same[1:] = roots[1:] == roots[:-1]
        own = _Documents(
            np.ascontiguousarray(signatures), *binary_buffers(_NO_SHINGLES if shingles is None else shingles)
        )
        held = _Documents(self._signatures, *binary_buffers(self._shingles))
        rule = _Rule(self._is_anchored, self._threshold, self._margin, shingles is not None)
        anchors, similarity, current = _assign(is_same, is_member, own, held, rule)
        # One list: survivors of earlier batches, then the documents of this batch; `anchors` are indices into it.
        n_held = len(self._ids)
        ids = pa.concat_arrays([self._ids, doc_ids.cast(pa.string())])
        cluster_ids = ids.take(pa.array(anchors))
        self._root, self._last = int(roots[-1]), keys[-1]
        self._ids = ids.take(pa.array(current))
        self._signatures = np.concatenate([self._signatures, signatures])[current]
        if shingles is not None:
            self._shingles = pa.concat_arrays([self._shingles, pc.cast(shingles, pa.binary())]).take(pa.array(current))
        is_survivor = anchors == np.arange(n_held, n_held + n)
        return pa.array(is_member), cluster_ids, pa.array(similarity), pa.array(is_survivor)


def exact_margin(threshold: float, n_permutations: int) -> float:
    """Returns how far an estimate may be from the threshold by chance: three standard errors, sqrt(J (1 - J) /
    permutations).

    >>> round(exact_margin(0.7, 112), 3)
    0.13
    """
    return 3 * (threshold * (1 - threshold) / n_permutations) ** 0.5


@kernel
def _assign(is_same, is_member, own, held, rule):
    """Returns the index of each document's survivor, earlier ones first, and the survivors of the last component."""
    # Taken once, because taking an array out of a tuple costs more than reading the array.
    (signatures, shingles, bounds), (held_signatures, held_shingles, held_bounds) = own, held
    is_anchored, threshold, margin, is_exact = rule
    n, n_held = len(is_same), len(held_signatures)
    anchors, similarity = np.empty(n, dtype=np.int64), np.ones(n, dtype=np.float64)
    limit = MAX_ANCHORS if is_anchored else 1
    current = np.empty(limit, dtype=np.int64)
    n_current = n_held
    for index in range(n_held):
        current[index] = index
    for row in range(n):
        anchors[row] = n_held + row
        if not is_same[row]:
            n_current = 0
        if not is_member[row]:
            continue
        is_found = False
        for index in range(n_current):
            anchor = current[index]
            other = held_signatures[anchor] if anchor < n_held else signatures[anchor - n_held]
            n_same = 0
            for value in range(len(other)):
                n_same += signatures[row, value] == other[value]
            share = n_same / len(other)
            if is_exact and abs(share - threshold) <= margin:
                start, stop = bounds[row], bounds[row + 1]
                if anchor < n_held:
                    first, last, of_anchor = held_bounds[anchor], held_bounds[anchor + 1], held_shingles
                else:
                    first, last, of_anchor = bounds[anchor - n_held], bounds[anchor - n_held + 1], shingles
                n_all = (stop - start + last - first) // BYTES_OF_HASH
                n_same = count_common(shingles, start, stop, of_anchor, first, last)
                share = n_same / (n_all - n_same)
            if not is_anchored or share >= threshold:
                anchors[row], similarity[row] = anchor, share
                is_found = True
                break
        if not is_found and n_current < limit:
            current[n_current] = n_held + row
            n_current += 1
    return anchors, similarity, current[:n_current].copy()
