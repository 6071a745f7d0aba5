"""Draws the sizes of clusters with matplotlib, if it is installed."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from dclm_spark.errors import InputError

FORMATS = (".png", ".svg")


def check_plot(path: str) -> Path:
    """Returns the path if a plot can be written to it.

    Raises:
        InputError: The path has no suffix of a picture or its folder does not exist, or matplotlib is missing.
    """
    target = Path(path)
    problems = []
    if target.suffix.lower() not in FORMATS:
        problems.append(f"{path} names no picture; expected a file that ends in {' or '.join(FORMATS)}")
    if not target.parent.is_dir():
        problems.append(f"no folder {target.parent} for {path}")
    if importlib.util.find_spec("matplotlib") is None:
        problems.append("a plot needs matplotlib: pip install 'dclm-spark[plot]'")
    if problems:
        raise InputError(problems)
    return target


def plot_sizes(sizes: Sequence[Mapping[str, int]], target: Path) -> None:
    """Draws the distribution of cluster sizes (rows of `clusters.count_sizes`), with both axes logarithmic.

    A bar covers a range of sizes; its height is the number of clusters in this range.
    """
    import matplotlib
    from matplotlib.figure import Figure

    # A fixed salt, so that the same sizes give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "dclm-spark"}):
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        bars = axes.bar(
            [entry["least"] - 0.5 for entry in sizes],
            [entry["clusters"] for entry in sizes],
            width=[entry["most"] - entry["least"] + 1 for entry in sizes],
            align="edge",
            edgecolor="white",
        )
        axes.bar_label(bars, [f"{entry['clusters']:,}" if entry["clusters"] else "" for entry in sizes])
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(0.5, 2 * max(entry["clusters"] for entry in sizes))
        axes.set_xticks([entry["most"] for entry in sizes], [f"{entry['most']:,}" for entry in sizes], rotation=45)
        axes.minorticks_off()
        axes.set_xlabel("documents of a cluster")
        axes.set_ylabel("clusters")
        axes.set_title("Near-duplicate clusters by size")
        is_svg = target.suffix.lower() == ".svg"
        figure.savefig(target, dpi=150, metadata={"Date": None} if is_svg else {"Software": None})
