"""The options that speak of near-duplicates."""

import argparse
from typing import Any

from dclm_spark.errors import InputError
from dclm_spark.recipe.near_duplicates import MAX_PERMUTATIONS

DEFAULT_PERMUTATIONS = 256  # where only a similarity is given


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what takes the place of the recipe's own settings of near-duplicates."""
    group = parser.add_argument_group("near-duplicates (in place of the recipe's own)")
    group.add_argument(
        "--bands", metavar="BxR", help="bands and rows, such as 14x8, or fineweb, curator, refinedweb, dclm"
    )
    group.add_argument(
        "--similarity",
        type=float,
        metavar="S",
        help="choose bands and rows that find pairs from this similarity on ...",
    )
    group.add_argument("--permutations", type=int, metavar="N", help="... with so many permutations at most (256)")
    group.add_argument(
        "--scope", help="dump (each by itself), shards or all (at once), incremental (added to all before)"
    )
    group.add_argument("--shards", dest="n_shards", type=int, metavar="N", help="number of shards, for --scope shards")
    group.add_argument("--threshold", type=float, metavar="S", help="two documents are alike from this similarity on")
    group.add_argument("--verify", help="signature, exact or none")
    group.add_argument("--clusters", help="components or anchored")
    group.add_argument(
        "--survivor", nargs="+", action="extend", metavar="ORDER", help="which document of a cluster stays"
    )


def near_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options say, by the names of the fields of `MinHash` and `NearDuplicates`; null where they say nothing.

    Raises:
        InputError: Bands and rows are chosen twice, or in no way that is known.
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
