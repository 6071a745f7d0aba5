"""Computes which pairs a number of bands and rows finds: the S-curve of locality-sensitive hashing with MinHash.

Source: Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4.2.
"""

import math

SETTINGS: dict[str, tuple[int, int]] = {
    "fineweb": (14, 8),
    "curator": (20, 13),
    "refinedweb": (450, 20),
    "dclm": (15, 93),
}
"""Name of a data set or tool -> its numbers of bands and rows: FineWeb and datatrove, NeMo Curator, RefinedWeb, and the
MinHash ablation of DataComp-LM."""

_TABLED = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def p_candidate(similarity: float, n_bands: int, n_rows: int) -> float:
    """Returns the probability that two documents of this similarity agree in at least one band: 1 - (1 - s^r)^b.

    >>> round(p_candidate(0.8, 14, 8), 3)
    0.924
    """
    p_band = similarity**n_rows
    # Equal to the formula, but exact to the last digit also for small results.
    return 1.0 if p_band == 1 else -math.expm1(n_bands * math.log1p(-p_band))


def threshold_of(n_bands: int, n_rows: int) -> float:
    """Returns the similarity where the S-curve is about steepest, (1/b)^(1/r): two documents are candidates with p =
    .63.

    >>> round(threshold_of(14, 8), 3)
    0.719
    """
    return (1 / n_bands) ** (1 / n_rows)


def bands_for(similarity: float, n_permutations: int, *, weight_of_false_positives: float = 0.5) -> tuple[int, int]:
    """Finds the bands and rows that best separate pairs above a similarity from those below it.

    They minimize the weighted sum of two areas: below the S-curve to the left of the similarity, and above it to the
    right. datasketch finds them, as for its `MinHashLSH`. 128 permutations take hundredths of a second, 10,000 several
    seconds.

    >>> bands_for(0.7, 112)
    (12, 9)

    Args:
        similarity: Jaccard index, between 0 and 1.
        n_permutations: Upper limit of bands times rows.
        weight_of_false_positives: Weight of false positives, [0, 1]; the rest is that of false negatives. A smaller
            weight finds more candidates.

    Raises:
        ValueError: A value is not in its range.
    """
    from datasketch.lsh import _optimal_param

    if not 0 < similarity < 1 or n_permutations < 1 or not 0 <= weight_of_false_positives <= 1:
        raise ValueError(
            f"similarity {similarity}, {n_permutations} permutations and weight {weight_of_false_positives}; expected "
            "a similarity between 0 and 1, 1 permutation or more, and a weight from 0 to 1"
        )
    return _optimal_param(similarity, n_permutations, weight_of_false_positives, 1 - weight_of_false_positives)


def standard_error(similarity: float, n_permutations: int) -> float:
    """Returns the standard error of a similarity estimated from two signatures: sqrt(s (1 - s) / permutations).

    >>> round(standard_error(0.7, 112), 3)
    0.043
    """
    return math.sqrt(similarity * (1 - similarity) / n_permutations)


def text_curve(n_bands: int, n_rows: int, *, width: int = 60, height: int = 12) -> str:
    """Draws the S-curve with its threshold, and a table of it, in ASCII characters for a terminal.

    >>> print(text_curve(14, 8, width=40, height=5))
    14 bands x 8 rows = 112 permutations, threshold 0.72
    P(candidate)
    1.0 |                             |  *********
        |                             ***
    0.5 |                           **|
        |                       ****  |
    0.0 |***********************      |
        +-----------------------------^-----------
         0.0                0.5                1.0
                                       similarity
    similarity  P(candidate)  error of the estimate
          0.50        0.0533                  0.047
          0.60        0.2111                  0.046
          0.70        0.5645                  0.043
          0.75        0.7716                  0.041
          0.80        0.9235                  0.038
          0.85        0.9884                  0.034
          0.90        0.9996                  0.028
          0.95        1.0000                  0.021
    """
    n_permutations = n_bands * n_rows
    threshold = threshold_of(n_bands, n_rows)
    marked = round(threshold * width)
    lines = [
        f"{n_bands} bands x {n_rows} rows = {n_permutations:,} permutations, threshold {threshold:.2f}",
        "P(candidate)",
        *_plot(n_bands, n_rows, width, height, marked),
        f"    +{'-' * marked}^{'-' * (width - marked)}",
        f"     0.0{'0.5':>{width // 2 - 1}}{'1.0':>{width - width // 2 - 1}}",
        f"{'similarity':>{width + 5}}",
        "similarity  P(candidate)  error of the estimate",
    ]
    for similarity in _TABLED:
        p, error = p_candidate(similarity, n_bands, n_rows), standard_error(similarity, n_permutations)
        lines.append(f"{similarity:10.2f}{p:14.4f}{error:23.3f}")
    return "\n".join(lines)


def _plot(n_bands: int, n_rows: int, width: int, height: int, marked: int) -> list[str]:
    """Returns the lines of the plot from top to bottom, each with a label or space for it."""
    cells = [[" "] * (width + 1) for _ in range(height)]
    for row in cells:
        row[marked] = "|"
    before = 0
    for column in range(width + 1):
        level = round(p_candidate(column / width, n_bands, n_rows) * (height - 1))
        # A steep curve passes several levels from one column to the next.
        for passed in range(min(before + 1, level), level + 1):
            cells[height - 1 - passed][column] = "*"
        before = level
    labels = {0: "1.0", (height - 1) // 2: "0.5", height - 1: "0.0"}
    return [f"{labels.get(number, ''):>3} |{''.join(row)}".rstrip() for number, row in enumerate(cells)]
