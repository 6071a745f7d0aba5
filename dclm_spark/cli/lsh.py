"""Defines the command `dclm-spark lsh`, which shows the S-curve of a choice of bands and rows."""

import argparse
from typing import Any

from dclm_spark.cli import near_options, options
from dclm_spark.cli.resolve import recipe_of

NAME = "lsh"
HELP = "show which pairs a choice of bands and rows finds, as an S-curve"
EXAMPLES = """\
Examples:
  dclm-spark lsh --recipe fineweb
  dclm-spark lsh --bands 20x13 --plot curve.png
  dclm-spark lsh --similarity 0.8 --permutations 256
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the recipe, the settings that override it, and the picture."""
    options.recipe_options(parser)
    near_options.add_options(parser)
    parser.add_argument("--plot", metavar="FILE", help="draw the curve to this PNG or SVG file")


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Returns the S-curve as data and as text; also draws it if a file is given."""
    from dclm_spark.kernels.near.lsh import p_candidate, standard_error, text_curve, threshold_of
    from dclm_spark.reports.s_curves import plot_curve

    minhash = recipe_of(arguments, finds_near=True).signatures
    assert minhash is not None  # recipes are loaded here with settings of near-duplicates
    bands = (minhash.n_bands, minhash.n_rows)
    if arguments.plot:
        plot_curve(arguments.plot, {"the recipe's": bands})
    found = {
        "n_bands": minhash.n_bands,
        "n_rows": minhash.n_rows,
        "n_permutations": minhash.n_permutations,
        "threshold": threshold_of(*bands),
        "p_candidate": {f"{share / 100:.2f}": p_candidate(share / 100, *bands) for share in range(0, 101, 5)},
        "standard_error": standard_error(0.7, minhash.n_permutations),
    }
    return found, text_curve(*bands)
