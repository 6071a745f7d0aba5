"""Draws a survey: the share of words that survives, one curve for each method, from no scope to all dumps."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from dclm_spark.reports.plots import check_plot
from dclm_spark.reports.survey_choices import SCOPES

MOST_PANELS = 8  # largest number of dumps in the picture, the largest dumps first; the table has all


def plot_survey(path: str | os.PathLike[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """Draws a PNG or SVG: the share of words kept over the scope, one curve for each method.

    Scopes are sorted by the share of documents that they compare: with ten shards, a document is compared with a tenth
    of all, with the scope `dump` with those of its dump. A method with one point is a dotted line. Below are the same
    curves for each dump, and a panel for each method with the shares by length.

    Raises:
        InputError: The path has no suffix of a picture or its folder does not exist, or matplotlib is missing.
    """
    target = check_plot(os.fspath(path))
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    none, *others = entries
    methods = list(dict.fromkeys(entry["method"] for entry in others))
    colours = {method: f"C{number % 10}" for number, method in enumerate(methods)}
    by_dump, lengths = none["by"]["dump"], list(none["by"]["length"])
    dumps = sorted(by_dump, key=lambda dump: -by_dump[dump]["words"])[:MOST_PANELS]
    dumps = [dump for dump in by_dump if dump in dumps]
    scopes = list(dict.fromkeys(entry["scope"] for entry in sorted(entries, key=lambda entry: entry["reach"])))

    def curves(axes, share_of) -> None:
        for method in methods:
            points = [(0, 1.0)] + [
                (scopes.index(entry["scope"]), share)
                for entry in others
                if entry["method"] == method and (share := share_of(entry)) is not None
            ]
            points.sort()
            style = "o-" if len(points) > 2 else "o:"
            axes.plot(*zip(*points, strict=True), style, markersize=4, color=colours[method], label=method)
        axes.set_xticks(range(len(scopes)), [SCOPES.get(scope, scope) for scope in scopes])

    # A fixed salt, so that the same entries give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "dclm-spark", "font.size": 8}):
        shapes = [(max(1, -(-len(of) // most)), min(max(1, len(of)), most)) for of, most in ((dumps, 4), (methods, 5))]
        heights = [3.6, *(2.1 * n_rows for n_rows, _ in shapes)]
        figure = Figure(figsize=(10, sum(heights)), layout="constrained")
        top, middle, bottom = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = top.subplots()
        curves(axes, lambda entry: entry["share_of_words"])
        axes.set(title="Words that survive deduplication", ylabel="share of words", ylim=(0, 1.03))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(axis="y", alpha=0.3)
        axes.legend(loc="lower left")
        panels = middle.subplots(*shapes[0], sharey=True, squeeze=False).flat
        middle.suptitle("by dump" if len(dumps) == len(by_dump) else f"by dump, the {len(dumps)} largest")
        for panel, dump in zip(panels, dumps, strict=False):
            curves(panel, lambda entry, dump=dump: entry["by"]["dump"][dump]["share_of_words"])
            panel.set_title(dump)
        rows_of_methods = bottom.subplots(*shapes[1], sharey=True, squeeze=False).flat
        bottom.suptitle("by the words of a document before anything was cut")
        for panel, method in zip(rows_of_methods, methods, strict=False):
            for entry in (entry for entry in others if entry["method"] == method):
                shares = [entry["by"]["length"][length]["share_of_words"] for length in lengths]
                points = [(place, share) for place, share in enumerate(shares) if share is not None]
                style = {"dump": ":", "shards": "--", "all": "-"}.get(entry["scope"], "-")
                panel.plot(*zip(*points, strict=True), style, color=colours[method], label=entry["scope"])
            panel.set_title(method)
            every = range(0, len(lengths), max(1, -(-len(lengths) // 6)))
            panel.set_xticks(every, [lengths[place].split("-")[0] for place in every])
            panel.legend(fontsize=6)
        for group, used in ((middle, len(dumps)), (bottom, len(methods))):
            for number, panel in enumerate(group.axes):
                panel.set_ylim(0, 1.03)
                panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
                panel.tick_params(labelsize=6)
                panel.set_visible(number < used)
        is_svg = target.suffix.lower() == ".svg"
        figure.savefig(target, dpi=150, metadata={"Date": None} if is_svg else {"Software": None})
