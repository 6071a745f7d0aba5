"""The S-curve: its formula, its threshold, datasketch's choice of bands, and the plot for a terminal."""

import math
from fractions import Fraction

import pytest

from dclm_spark.kernels.near import lsh


@pytest.mark.parametrize(("n_bands", "n_rows"), lsh.SETTINGS.values())
@pytest.mark.parametrize("similarity", [0.0, 0.3, 0.5, 0.72, 0.8, 0.95, 1.0])
def test_p_candidate_is_the_formula(similarity, n_bands, n_rows):
    expected = float(1 - (1 - Fraction(similarity) ** n_rows) ** n_bands)
    assert lsh.p_candidate(similarity, n_bands, n_rows) == pytest.approx(expected, rel=1e-12)


def test_small_probabilities_are_exact():
    assert lsh.p_candidate(0.5, 15, 93) == pytest.approx(15 * 0.5**93, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "threshold"), [("fineweb", 0.719), ("curator", 0.794), ("refinedweb", 0.737), ("dclm", 0.971)]
)
def test_thresholds(name, threshold):
    assert lsh.threshold_of(*lsh.SETTINGS[name]) == pytest.approx(threshold, abs=5e-4)
    # By the definition of the threshold s: b bands of s^r = 1/b each, so that 1 - 1/e is the limit.
    assert lsh.p_candidate(lsh.threshold_of(*lsh.SETTINGS[name]), *lsh.SETTINGS[name]) == pytest.approx(
        1 - 1 / math.e, abs=0.02
    )


@pytest.mark.parametrize("similarity", [0.5, 0.8])
@pytest.mark.parametrize("n_permutations", [112, 256])
@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_bands_are_those_of_datasketch(similarity, n_permutations, weight):
    from datasketch import MinHashLSH

    oracle = MinHashLSH(threshold=similarity, num_perm=n_permutations, weights=(weight, 1 - weight))
    n_bands, n_rows = lsh.bands_for(similarity, n_permutations, weight_of_false_positives=weight)
    assert (n_bands, n_rows) == (oracle.b, oracle.r)
    assert n_bands * n_rows <= n_permutations


@pytest.mark.parametrize("values", [(0.0, 112), (1.0, 112), (0.7, 0)])
def test_no_bands_for_what_is_out_of_range(values):
    with pytest.raises(ValueError, match="expected a similarity between 0 and 1"):
        lsh.bands_for(*values)


def test_standard_error():
    assert lsh.standard_error(0.5, 100) == 0.05
    assert lsh.standard_error(1.0, 100) == lsh.standard_error(0.0, 100) == 0


@pytest.mark.parametrize(("n_bands", "n_rows"), [*lsh.SETTINGS.values(), (1, 1), (1, 200), (200, 1)])
def test_text_curve_has_a_mark_in_every_column_and_rises(n_bands, n_rows):
    lines = lsh.text_curve(n_bands, n_rows).splitlines()
    assert f"{n_bands} bands x {n_rows} rows" in lines[0]
    plot = [line[5:].ljust(61) for line in lines[2:14]]
    tops = [min(row for row in range(12) if plot[row][column] == "*") for column in range(61)]
    assert tops == sorted(tops, reverse=True)
    assert (tops[0], tops[-1]) == (11, 0)
    assert {row for row in range(12) for column in range(61) if plot[row][column] == "*"} == set(range(12))
    assert lines[14].index("^") == 5 + round(60 * lsh.threshold_of(n_bands, n_rows))
    rows = [[float(number) for number in line.split()] for line in lines[18:]]
    assert [row[0] for row in rows] == [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    for similarity, p, error in rows:
        assert p == pytest.approx(lsh.p_candidate(similarity, n_bands, n_rows), abs=5.1e-5)
        assert error == pytest.approx(lsh.standard_error(similarity, n_bands * n_rows), abs=5.1e-4)
