"""The S-curves of band settings as a picture."""

import os
from collections.abc import Mapping

from dclm_spark.errors import InputError
from dclm_spark.kernels.near.lsh import SETTINGS, p_candidate, threshold_of

_N_POINTS = 500


def plot_curve(path: str | os.PathLike[str], curves: Mapping[str, tuple[int, int]] = SETTINGS) -> None:
    """Writes a picture: the probability of two documents to be candidates over their similarity, thresholds marked.

    Args:
        path: A file ending in .png, .svg or .pdf, or in what else matplotlib writes. One that exists is replaced.
        curves: Label -> bands and rows.

    Raises:
        InputError: matplotlib is missing, or writes no such file.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(["a plot needs matplotlib: pip install 'dclm-spark[plot]'"]) from error
    # Without pyplot there is no state of the process that a plot could change.
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
