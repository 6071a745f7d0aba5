"""Compiles the kernels that most tests run, once, before several processes would compile them beside each other."""

from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.recipe.builtin import RECIPES
from dclm_spark.recipe.near_duplicates import MinHash
from dclm_spark.schemas import SIGNAL_GROUPS
from dclm_spark.stages import candidates, components, ngrams, signatures
from dclm_spark.stages.annotated import SAMPLE


def main() -> None:
    for recipe in RECIPES.values():
        annotate_batch(SAMPLE, recipe.annotation, tuple(SIGNAL_GROUPS))
    signatures.sign(signatures._SAMPLE, MinHash())
    for kernels in (candidates.KERNELS, components._KERNELS, ngrams.KERNELS):
        kernels.exercise()


if __name__ == "__main__":
    main()
