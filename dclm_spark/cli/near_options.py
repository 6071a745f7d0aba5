"""Defines the options on near-duplicates."""

import argparse
from typing import Any

from dclm_spark.errors import InputError
from dclm_spark.recipe.near_duplicates import MAX_PERMUTATIONS

DEFAULT_PERMUTATIONS = 256  # if --similarity is given without --permutations


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds options that override the recipe's settings of near-duplicates."""
    group = parser.add_argument_group("near-duplicates (overrides the recipe)")
    group.add_argument(
        "--bands", metavar="BxR", help="bands and rows, such as 14x8, or those of fineweb, curator, refinedweb or dclm"
    )
    group.add_argument(
        "--similarity",
        type=float,
        metavar="S",
        help="choose bands and rows that find pairs of at least this similarity ...",
    )
    group.add_argument(
        "--permutations", type=int, metavar="N", help="... with at most this number of permutations (256)"
    )
    group.add_argument(
        "--scope", help="dump (each alone), shards or all (dumps together), incremental (added to all before)"
    )
    group.add_argument("--shards", dest="n_shards", type=int, metavar="N", help="number of shards, for --scope shards")
    group.add_argument("--threshold", type=float, metavar="S", help="smallest similarity of two near-duplicates")
    group.add_argument("--verify", help="signature, exact or none")
    group.add_argument("--clusters", help="components or anchored")
    group.add_argument(
        "--survivor",
        nargs="+",
        action="extend",
        metavar="ORDER",
        help="criteria for the document of a cluster that is kept",
    )


def near_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the options by the names of the fields of `MinHash` and `NearDuplicates`; null for options not given.

    Raises:
        InputError: Bands and rows are given twice, or in an unknown form.
    """
    if not hasattr(arguments, "bands"):
        return {}
    n_bands, n_rows = _bands(arguments.bands, arguments.similarity, arguments.permutations)
    survivor = tuple(arguments.survivor) if arguments.survivor else None
    given = {name: getattr(arguments, name) for name in ("scope", "n_shards", "threshold", "verify", "clusters")}
    return {"n_bands": n_bands, "n_rows": n_rows, "survivor": survivor, **given}


def _bands(bands: str | None, similarity: float | None, permutations: int | None) -> tuple[int | None, int | None]:
    if bands is None:
        if similarity is not None:
            return _bands_for(similarity, DEFAULT_PERMUTATIONS if permutations is None else permutations)
        if permutations is not None:
            raise InputError(["--permutations goes with --similarity"])
        return None, None
    if similarity is not None:
        raise InputError(["--bands and --similarity both choose bands and rows; give one of them"])
    from dclm_spark.kernels.near.lsh import SETTINGS

    if bands in SETTINGS:
        return SETTINGS[bands]
    numbers = bands.lower().split("x")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise InputError(
            [f"--bands {bands!r}: expected bands and rows, such as 14x8, or one of: {', '.join(SETTINGS)}"]
        )
    return int(numbers[0]), int(numbers[1])


def _bands_for(similarity: float, n_permutations: int) -> tuple[int, int]:
    from dclm_spark.kernels.near.lsh import bands_for

    problems = []
    if not 0 < similarity < 1:
        problems.append(f"--similarity {similarity}: expected a number between 0 and 1")
    if not 1 <= n_permutations <= MAX_PERMUTATIONS:
        problems.append(f"--permutations {n_permutations}: expected 1 to {MAX_PERMUTATIONS:,}")
    if problems:
        raise InputError(problems)
    return bands_for(similarity, n_permutations)
