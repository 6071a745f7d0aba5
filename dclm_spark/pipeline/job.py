"""Defines `Job`, the request of one call, and `Ledger`, which says what of it is already done."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.files.domain_lists import check_domain_list
from dclm_spark.files.inputs import Listing
from dclm_spark.kernels.fasttext.identify import check_model
from dclm_spark.kernels.html.extract import check_extractor
from dclm_spark.lake.dumps import check_dump
from dclm_spark.lake.finished import Finished
from dclm_spark.lake.runs import Key, Run, is_made_by, last_runs, made_from, part_hash
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.ingest_plan import Source
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.progress import Progress


@dataclass(frozen=True)
class Job:
    """The request of one call: a dump, a recipe, and the warehouses of its tables.

    Args:
        warehouse: The warehouse that rows are written to.
        dump: Name of the dump.
        recipe: The recipe.
        upstream: Another warehouse, from which tables are read that the first does not hold; it is not written.
        is_forced: Whether to make stages again that are up to date, and to replace rows made by another recipe.
        is_quiet: Whether to show no progress.
    """

    warehouse: Warehouse
    dump: str
    recipe: Recipe
    upstream: Warehouse | None = None
    is_forced: bool = False
    is_quiet: bool = False

    def check(self, source: Source | None = None) -> Listing:
        """Reports every problem of recipe, dump, input and warehouse at once, before any work.

        Args:
            source: The files to read; null if the stage reads a table.

        Returns:
            The files of the source; an empty listing if there is no source.

        Raises:
            RecipeError: The recipe is wrong.
            InputError: The dump's name or the input is wrong.
            WarehouseError: The warehouse cannot be written.
        """
        return check_request(self.recipe, self.dump, source, warehouse_problems=self.warehouse.problems())

    def near_settings(self) -> tuple[MinHash, NearDuplicates]:
        """Returns the recipe's settings of signatures and of near-duplicates.

        Raises:
            RecipeError: The recipe has none.
        """
        if self.recipe.signatures is None or self.recipe.duplicates is None:
            raise RecipeError(
                [
                    f"the recipe {self.recipe.name} has no settings of near-duplicates; expected signatures and "
                    "duplicates: dataclasses.replace(recipe, signatures=MinHash(), duplicates=NearDuplicates())"
                ]
            )
        return self.recipe.signatures, self.recipe.duplicates

    def progress(self, stage: str) -> Progress:
        """Makes the display of a stage's progress."""
        return Progress(self.warehouse.spark, f"{stage} {self.dump}", quiet=self.is_quiet)

    def run(self, stage: str) -> Run:
        """Begins a run of a stage."""
        return Run(self.warehouse, stage, self.dump, self.recipe)

    def ledger(self) -> "Ledger":
        """Reads the finished runs of the dump."""
        upstream = last_runs(self.upstream, dump=self.dump) if self.upstream is not None else {}
        return Ledger(self, last_runs(self.warehouse, dump=self.dump), upstream)


def check_request(
    recipe: Recipe, dump: str, source: Source | None, *, warehouse_problems: Sequence[str] = ()
) -> Listing:
    """Reports every problem of recipe, dump and input at once, without Spark.

    Args:
        recipe: The recipe.
        dump: The dump's name.
        source: The files to read; null if the stage reads a table.
        warehouse_problems: Problems of the warehouse that are already known, one sentence each.

    Returns:
        The files of the source; an empty listing if there is no source.

    Raises:
        RecipeError: The recipe is wrong.
        InputError: The dump's name or the input is wrong.
        WarehouseError: The warehouse cannot be written.
    """
    listing = Listing((), ())
    wrong = {
        RecipeError: [
            *recipe.problems(),
            *check_extractor(recipe.extraction.extractor, recipe.extraction.options),
            *check_model(recipe.annotation.language_model, recipe.annotation.language_model_hash),
            *check_domain_list(recipe.annotation.banned_domains),
        ],
        InputError: check_dump(dump),
        WarehouseError: list(warehouse_problems),
    }
    if source is not None:
        try:
            listing = source.listing
        except InputError as error:
            wrong[InputError] += error.problems
    problems = [problem for found in wrong.values() for problem in found]
    if problems:
        raise next(kind for kind, found in wrong.items() if found)(problems)
    return listing


@dataclass(frozen=True)
class Ledger:
    """Holds the latest finished runs of a job's dump at the time when one of its stages begins, by (dump, stage).

    Args:
        job: The job.
        own: The runs of the job's warehouse.
        upstream: The runs of the job's upstream; empty if it has none.
    """

    job: Job
    own: Mapping[Key, dict[str, Any]]
    upstream: Mapping[Key, dict[str, Any]]
    _sound: set[str] = field(default_factory=set)  # run and table of rows that are known to exist

    def finished(self, table: str) -> Finished:
        """Finds the dump's finished rows of a table, in the job's warehouse or its upstream.

        Raises:
            WarehouseError: Neither has finished rows, or another recipe made them.
        """
        job = self.job
        sources = [(job.warehouse, self.own)]
        if job.upstream is not None:
            sources.append((job.upstream, self.upstream))
        for warehouse, runs in sources:
            run = runs.get(Key(job.dump, table))
            if run is not None:
                if not self._is_same(run):
                    raise WarehouseError([self._another_recipe(warehouse, run)])
                if f"{run['run_id']} {table}" not in self._sound:
                    if lost := warehouse.history.lost(run, table):
                        raise WarehouseError([f"{self._in_words(run, lost)}: `dclm-spark {table}` makes them again"])
                    self._sound.add(f"{run['run_id']} {table}")
                return Finished(warehouse, run)
        names = " or ".join(str(warehouse) for warehouse, _ in sources)
        raise WarehouseError([f"no finished {table} of {job.dump} in {names}; run `dclm-spark {table}` first"])

    def standing(self, stage: str, upstream_runs: Mapping[Key, str]) -> dict[str, Any] | None:
        """Returns the stage's finished run if it is up to date; null if the stage has to be made.

        Raises:
            WarehouseError: The rows were made by another recipe, and the job is not forced.
        """
        run = None if self.job.is_forced else self.own.get(Key(self.job.dump, stage))
        if run is not None and not self._is_same(run):
            raise WarehouseError([self._another_recipe(self.job.warehouse, run)])
        if run is None or made_from(run) != upstream_runs or self.is_lost(run):
            return None
        return run

    def is_lost(self, run: dict[str, Any]) -> bool:
        """Returns whether a table has lost rows that a run of the job's warehouse has written, and prints it if so."""
        lost = self.job.warehouse.history.lost(run)
        if lost and not self.job.is_quiet:
            print(f"{self._in_words(run, lost)}; they are made again", file=sys.stderr)
        return bool(lost)

    def from_upstream(self, stage: str, upstream_runs: Mapping[Key, str]) -> dict[str, Any] | None:
        """Returns the upstream's finished run if it can be used for a stage that the warehouse does not hold; else
        null."""
        run, upstream = self.upstream.get(Key(self.job.dump, stage)), self.job.upstream
        if run is None or upstream is None or self.job.is_forced or (self.job.dump, stage) in self.own:
            return None
        is_same = self._is_same(run) and made_from(run) == upstream_runs
        return run if is_same and not upstream.history.lost(run) else None

    def _in_words(self, run: dict[str, Any], lost: Mapping[str, int]) -> str:
        words = ", ".join(f"{table} has lost version {version}" for table, version in lost.items())
        return f"the {run['stage']} of {run['dump']} are incomplete: {words} of its log"

    def _is_same(self, run: dict[str, Any]) -> bool:
        return is_made_by(run, self.job.recipe)

    def _another_recipe(self, warehouse: Warehouse, run: dict[str, Any]) -> str:
        stage, recipe = run["stage"], self.job.recipe
        return (
            f"the {stage} of {self.job.dump} in {warehouse} were made by another recipe ({run['recipe']}, part "
            f"{run['part_hash'][:8]}; expected: {recipe.name}, part {part_hash(recipe, stage)[:8]}); "
            f"`dclm-spark {stage} --force` replaces them, a separate --warehouse with --upstream keeps both"
        )
