"""Runs stages that compare several dumps: groups the dumps, finds the earlier dumps they are added to, records runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.lake import claims
from dclm_spark.lake.finished import Finished
from dclm_spark.lake.missing import find_lost
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Key, Run, is_made_by, last_runs, made_from
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.pipeline.run_stage import Outcome, up_to_date
from dclm_spark.recipe.as_json import differences, from_json
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.recipe.scopes import groups_of
from dclm_spark.spark.planning import planned_for_python

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_NAMED = 4  # largest number of differences of two recipes that a message names


@dataclass(frozen=True)
class Group:
    """A group of dumps whose rows of a stage are made together.

    Args:
        stage: The stage, `duplicates` or `deduplicated`.
        new: The dumps whose rows are made, in their order; they come after the earlier ones.
        earlier: The dumps that the new ones are added to, in their order; empty unless a scope is `incremental`.
        finished: Dump -> finished run of the stage, for every dump of the warehouse.
        ledgers: Dump -> ledger, for each new and each earlier dump.
        inputs: Reads the rows of these dumps.
    """

    stage: str
    new: tuple[str, ...]
    earlier: tuple[str, ...]
    finished: Mapping[str, dict[str, Any]]
    ledgers: Mapping[str, Ledger]
    inputs: Inputs

    @property
    def dumps(self) -> tuple[str, ...]:
        """All dumps in their order, the earlier ones first."""
        return (*self.earlier, *self.new)

    def upstream_runs(self, tables: Sequence[str]) -> dict[Key, str]:
        """Returns the runs that the new rows are made from: those of all new dumps' tables, and those of earlier
        dumps."""
        found = {Key(name, table): self.ledgers[name].finished(table).run_id for name in self.new for table in tables}
        added_by = _ADDED_BY[self.stage]
        for name in self.earlier:
            is_own = added_by == self.stage
            run = self.finished[name] if is_own else self.ledgers[name].finished(added_by).run
            found[Key(name, added_by)] = run["run_id"]
        return found

    @property
    def later(self) -> list[str]:
        """Lists the finished dumps that were added after these, and must be added again."""
        first = Key(self.new[0], _ADDED_BY[self.stage])
        return [dump for dump, run in self.finished.items() if dump != self.new[0] and first in made_from(run)]


@dataclass(frozen=True)
class GroupStage:
    """Describes how a stage of several dumps is made, group by group.

    Args:
        name: Name of the stage.
        reads: The tables that a run is made from; the rows of the first count as rows in.
        writes: The tables to create or check before writing.
        scopes: The scopes of the stage's comparisons.
        write: Function that makes the rows of a group, given a job for its last dump, the group, and the run of each
            new dump. It returns, by dump, the arguments for `Run.record`.
        check: Function that raises an error for a group that must not be made, before anything is written.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    scopes: frozenset[str]
    write: Callable[[Job, Group, Mapping[str, Run]], Mapping[str, Mapping[str, Any]]]
    check: Callable[[Job, Group], None] = lambda job, group: None

    @property
    def is_added(self) -> bool:
        """Whether each dump is added to the dumps before it."""
        return "incremental" in self.scopes


def named_twice(dumps: Sequence[str]) -> list[str]:
    """Lists the dumps that are named twice, one sentence each.

    >>> named_twice(["B", "A", "B"])
    ['the dump B is named twice']
    """
    return [f"the dump {dump} is named twice" for dump in sorted({dump for dump in dumps if dumps.count(dump) > 1})]


def check_dumps(job: Job, dumps: Sequence[str]) -> None:
    """Raises an error, before any work, for dumps that cannot be made.

    Raises:
        InputError: A dump is named twice, or its name is invalid.
        RecipeError: The recipe is wrong.
        WarehouseError: The warehouse cannot be written.
    """
    if repeated := named_twice(dumps):
        raise InputError(repeated)
    for dump in dumps:
        replace(job, dump=dump).check()


def make_groups(job: Job, dumps: Sequence[str], stage: GroupStage) -> list[Outcome]:
    """Makes a stage of dumps, group by group; returns one outcome for each dump."""
    with planned_for_python(job.warehouse.spark):
        return [outcome for group in groups_of(dumps, stage.scopes) for outcome in _make_group(job, group, stage)]


def _make_group(job: Job, new: tuple[str, ...], stage: GroupStage) -> list[Outcome]:
    last = replace(job, dump=new[-1])

    def find() -> tuple[Group, list[Outcome | None]]:
        group = _group_of(job, new, stage)
        upstream_runs = group.upstream_runs(stage.reads)
        return group, [up_to_date(group.ledgers[dump], stage.name, upstream_runs) for dump in new]

    (group, done), find_again = claims.look(job.warehouse, ("runs",), find)
    if _are_all(done):
        return done
    stage.check(last, group)
    job.warehouse.prepare(*stage.writes, "runs")
    with claims.claimed(job.warehouse, stage.name, new, is_wide=stage.is_added or len(new) > 1):
        group, done = find_again()
        return done if _are_all(done) else _make(last, group, stage)


def _are_all(done: list[Outcome | None]) -> TypeGuard[list[Outcome]]:
    return all(done)


def _group_of(job: Job, new: tuple[str, ...], stage: GroupStage) -> Group:
    own_runs = last_runs(job.warehouse)
    upstream_runs = last_runs(job.upstream) if job.upstream is not None else {}
    finished = {key.dump: run for key, run in own_runs.items() if key.stage == stage.name}
    earlier = earlier_dumps(finished, new[0], job, stage=stage.name) if stage.is_added else ()
    ledgers = {dump: Ledger(replace(job, dump=dump), own_runs, upstream_runs) for dump in (*earlier, *new)}
    inputs = Inputs({dump: ledger.finished for dump, ledger in ledgers.items()})
    return Group(stage.name, new, earlier, finished, ledgers, inputs)


def _make(job: Job, group: Group, stage: GroupStage) -> list[Outcome]:
    """Makes the rows of all new dumps of a group and records their runs; the caller holds the claim."""
    stage.check(job, group)
    runs = {dump: replace(job, dump=dump).run(stage.name) for dump in group.new}
    found = {dump: group.ledgers[dump].finished(stage.reads[0]) for dump in group.new}
    with replace(job, dump=", ".join(group.new)).progress(stage.name):
        written = stage.write(job, group, runs)
    return [
        Outcome(
            runs[dump].record(
                n_rows_in=found[dump].n_rows,
                upstream_runs=group.upstream_runs(stage.reads),
                input_versions=group.inputs.versions(dump),
                **written[dump],
            ),
            is_new=True,
        )
        for dump in group.new
    ]


def rows_by_dump(read: "Callable[[], DataFrame]", n_rows: int, dumps: Sequence[str]) -> dict[str, int]:
    """Counts the rows of each dump.

    Args:
        read: Function that reads the rows; not called if there is only one dump.
        n_rows: Number of rows of all dumps together.
        dumps: Names of the dumps.
    """
    if len(dumps) == 1:
        return {dumps[0]: n_rows}
    counted = {row["dump"]: row["count"] for row in read().groupBy("dump").count().collect()}
    return {dump: counted.get(dump, 0) for dump in dumps}


def earlier_dumps(finished: Mapping[str, dict[str, Any]], dump: str, job: Job, *, stage: str) -> tuple[str, ...]:
    """Returns the dumps that a dump is added to: the same as last time, or all finished ones, in their order.

    Args:
        finished: Dump -> finished run of the stage.
        dump: Name of the dump to add.
        job: The recipe and warehouses.
        stage: The stage, `duplicates` or `deduplicated`.

    Raises:
        WarehouseError: Some were made by another recipe and the job is not forced, or rows that they have written are
            lost.
    """
    others = [
        f"{run['recipe']} made {name}: {_differing(run, job.recipe, stage)}"
        for name, run in finished.items()
        if name != dump and not is_made_by(run, job.recipe)
    ]
    if others and not job.is_forced:
        raise WarehouseError(
            [
                f"{dump} cannot be added to what {_OTHERS[stage]} in {job.warehouse} ({', '.join(sorted(others))}); "
                "use that recipe, a separate --warehouse with --upstream, or --force to leave those dumps out"
            ]
        )
    in_order = sorted(finished, key=lambda name: (finished[name]["started_at"], name))
    in_order = [name for name in in_order if name != dump and is_made_by(finished[name], job.recipe)]
    if dump in finished and is_made_by(finished[dump], job.recipe):
        known = made_from(finished[dump])
        in_order = [name for name in in_order if Key(name, _ADDED_BY[stage]) in known]
    lost = find_lost({Key(name, stage): Finished(job.warehouse, finished[name]) for name in in_order}, in_order)
    if lost:
        raise WarehouseError(
            [
                f"{dump} cannot be added to {name}: {table} in {job.warehouse} has lost version {version} of its log; "
                f"`dclm-spark {stage} --dump {name}` makes it again"
                for name, tables in lost.items()
                for table, version in tables.items()
            ]
        )
    return tuple(in_order)


_ADDED_BY = {"duplicates": "signatures", "deduplicated": "deduplicated"}
"""The table of an earlier dump that a run of the stage names in its `upstream_runs`."""

_OTHERS = {
    "duplicates": "other settings of near-duplicates have compared",
    "deduplicated": "other methods of deduplication, or other settings of them, have kept",
}
_FIELDS = {"duplicates": "duplicates", "deduplicated": "deduplication"}


def _differing(run: Mapping[str, Any], recipe: Recipe, stage: str) -> str:
    """Describes how the recipe of a run differs from `recipe` in the part of the stage; names at most `MAX_NAMED`."""
    found = [one for one in differences(from_json(run["recipe_json"]), recipe) if one[0].startswith(_FIELDS[stage])]
    return ", ".join(f"{name} is {made!r}; expected {expected!r}" for name, made, expected in found[:MAX_NAMED])
