"""What a number of bands and rows finds: the S-curve of locality-sensitive hashing over MinHash signatures.

Source: Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4.2.
"""

import math

SETTINGS: dict[str, tuple[int, int]] = {
    "fineweb": (14, 8),
    "curator": (20, 13),
    "refinedweb": (450, 20),
    "dclm": (15, 93),
}
"""Name of a data set or tool -> the bands and rows that it takes: FineWeb and datatrove, NeMo Curator, RefinedWeb, and
the MinHash ablation of DataComp-LM."""

_TABLED = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def p_candidate(similarity: float, n_bands: int, n_rows: int) -> float:
    """The probability that two documents of this similarity agree in at least one band: 1 - (1 - s^r)^b.

    >>> round(p_candidate(0.8, 14, 8), 3)
    0.924
    """
    p_band = similarity**n_rows
    # The same as the formula, to the last digit also where it is small.
    return 1.0 if p_band == 1 else -math.expm1(n_bands * math.log1p(-p_band))


def threshold_of(n_bands: int, n_rows: int) -> float:
    """Where the S-curve is steepest, about: (1/b)^(1/r). There two documents are candidates with a chance of .63.

    >>> round(threshold_of(14, 8), 3)
    0.719
    """
    return (1 / n_bands) ** (1 / n_rows)


def bands_for(similarity: float, n_permutations: int, *, weight_of_false_positives: float = 0.5) -> tuple[int, int]:
    """The bands and rows that tell pairs above a similarity from those below it best; of at most so many permutations.

    Those with the least weighted sum of two areas: below the S-curve left of the similarity, and above it right of it.
    datasketch finds them, as it does for its `MinHashLSH`. 128 permutations take some hundredths of a second, 10,000
    some seconds.

    >>> bands_for(0.7, 112)
    (12, 9)

    Args:
        similarity: Jaccard index, between 0 and 1.
        n_permutations: At least as many as bands times rows.
        weight_of_false_positives: [0, 1]; the rest is that of false negatives. Less finds more candidates.

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
    """That of the similarity which two signatures estimate: sqrt(s (1 - s) / permutations).

    >>> round(standard_error(0.7, 112), 3)
    0.043
    """
    return math.sqrt(similarity * (1 - similarity) / n_permutations)


def text_curve(n_bands: int, n_rows: int, *, width: int = 60, height: int = 12) -> str:
    """The S-curve for a terminal, its threshold marked, and a table of it; lines of ASCII without an end.

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
    """Lines from the top one down, each with a label or room for it."""
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
