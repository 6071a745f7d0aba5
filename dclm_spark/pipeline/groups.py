"""Which dumps are deduplicated together, and which they are added to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.missing import find_lost
from dclm_spark.lake.runs import is_made_by
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.recipe.as_json import differences, from_json
from dclm_spark.recipe.recipe import Recipe

STAGE = "deduplicated"
MOST_NAMED = 4  # differences of two recipes, in a message


@dataclass(frozen=True)
class Group:
    """Dumps that are deduplicated together.

    Args:
        new: Those whose rows are made, in their places after the others'.
        earlier: Those that were added before them, in their order.
        earlier_runs: The finished run of each of those.
        ledgers: The ledger of each new one.
    """

    new: tuple[str, ...]
    earlier: tuple[str, ...]
    earlier_runs: Mapping[str, dict[str, Any]]
    ledgers: Mapping[str, Ledger]

    def upstream_runs(self, dump: str, tables: Sequence[str]) -> dict[str, str]:
        """What a dump's rows are made from: the runs of its own tables, of the others' and of what came before."""
        found = {}
        for name in self.new:
            of = "" if name == dump else f" {name}"
            found |= {f"{table}{of}": self.ledgers[name].lender(table)[1]["run_id"] for table in tables}
        return found | {f"{STAGE} {name}": run["run_id"] for name, run in self.earlier_runs.items()}


def earlier_dumps(finished: Mapping[str, dict[str, Any]], dump: str, job: Job, *, stage: str) -> tuple[str, ...]:
    """The dumps that a dump is added to: those it was added to before, or all that are finished, in their order.

    Args:
        finished: The finished runs of the stage, by dump.
        dump: The dump.
        job: What is asked for.
        stage: The stage, `duplicates` or `deduplicated`.

    Raises:
        WarehouseError: Some were made by another recipe, and nothing was forced; or what they have left is lost.
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
                "take that recipe, a --warehouse of its own with --upstream, or --force to leave those dumps out"
            ]
        )
    in_order = sorted(finished, key=lambda name: (finished[name]["started_at"], name))
    in_order = [name for name in in_order if name != dump and is_made_by(finished[name], job.recipe)]
    if dump in finished and is_made_by(finished[dump], job.recipe):
        known = finished[dump]["upstream_runs"]
        in_order = [name for name in in_order if f"{_ADDED_BY[stage]} {name}" in known]
    lost = find_lost({(name, stage): (job.warehouse, finished[name]) for name in in_order}, in_order)
    if lost:
        raise WarehouseError(
            [
                f"{dump} cannot be added to {name}: {table} in {job.warehouse} has lost version {version} of its log; "
                f"`dclm-spark {stage} --dump {name}` makes it anew"
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
    """Where what the stage takes from the recipe of a run is other than a recipe's, in words; a few of many."""
    found = [one for one in differences(from_json(run["recipe_json"]), recipe) if one[0].startswith(_FIELDS[stage])]
    return ", ".join(f"{name} is {made!r}; asked for {asked!r}" for name, made, asked in found[:MOST_NAMED])
