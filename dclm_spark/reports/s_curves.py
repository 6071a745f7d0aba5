"""Draws the S-curves of settings of bands and rows."""

import os
from collections.abc import Mapping

from dclm_spark.errors import InputError
from dclm_spark.kernels.near.lsh import SETTINGS, p_candidate, threshold_of

_N_POINTS = 500


def plot_curve(path: str | os.PathLike[str], curves: Mapping[str, tuple[int, int]] = SETTINGS) -> None:
    """Draws the probability that two documents are a candidate pair over their similarity, with thresholds marked.

    Args:
        path: A file ending in .png, .svg, .pdf or another format of matplotlib. An existing file is replaced.
        curves: Label -> numbers of bands and rows.

    Raises:
        InputError: matplotlib is missing, or cannot write this format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(["a plot needs matplotlib: pip install 'dclm-spark[plot]'"]) from error
    # Without pyplot, the plot changes no global state of the process.
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    similarities = [index / _N_POINTS for index in range(_N_POINTS + 1)]
    for label, (n_bands, n_rows) in curves.items():
        threshold = threshold_of(n_bands, n_rows)
        (line,) = axes.plot(
            similarities,
            [p_candidate(similarity, n_bands, n_rows) for similarity in similarities],
            label=f"{label}: {n_bands} bands x {n_rows} rows, threshold {threshold:.2f}",
        )
        axes.axvline(threshold, color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(xlabel="similarity of two documents", ylabel="probability to be candidates", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise InputError([f"{os.fspath(path)}: matplotlib writes no such file ({error})"]) from error
