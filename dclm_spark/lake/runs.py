"""Keeps the ledger of runs: which stage made which dump's rows, from what, by which recipe, with which libraries."""

import datetime as dt
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, NamedTuple

from dclm_spark import schemas
from dclm_spark.files.addresses import without_secrets
from dclm_spark.kernels.fasttext.identify import model_fingerprint
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe.as_json import canonical_json, from_json, recipe_hash
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.rows import frame_of

# Packages that can change a row; their versions are recorded with each run.
_PACKAGES = (
    "dclm-spark",
    "delta-spark",
    "fasttext-community",
    "fastwarc",
    "idna",
    "numba",
    "numpy",
    "pyarrow",
    "resiliparse",
    "tldextract",
    "trafilatura",
)


class Key(NamedTuple):
    """Names the rows that a run has made: those of a stage of a dump."""

    dump: str
    stage: str

    def name(self, of: str) -> str:
        """Returns the name of these rows in a run of the dump `of`: the stage, and the dump if it is another one.

        >>> Key("A", "signatures").name("A"), Key("B", "signatures").name("A")
        ('signatures', 'signatures B')
        """
        return self.stage if self.dump == of else f"{self.stage} {self.dump}"

    @classmethod
    def named(cls, name: str, of: str) -> "Key":
        """Parses a name that `name` has made for a run of the dump `of`.

        >>> Key.named("signatures B", "A")
        Key(dump='B', stage='signatures')
        """
        stage, _, dump = name.partition(" ")
        return cls(dump or of, stage)


def made_from(run: Mapping[str, Any]) -> dict[Key, str]:
    """Returns what a run was made from: stage and dump of the rows -> id of the run that made them."""
    return {Key.named(name, run["dump"]): run_id for name, run_id in run["upstream_runs"].items()}


def part_hash(recipe: Recipe, stage: str) -> str:
    """Hashes the part of the recipe that a stage uses; for language model and domain list their content counts.

    It does not depend on which signal groups are measured, see `is_made_by`.
    """
    part = recipe.part(stage)
    if stage == "annotated":
        listed = part.banned_domains and part.banned_domains.sha256
        model = part.language_model_hash or model_fingerprint(part.language_model)
        return recipe_hash([replace(part, banned_domains=None, language_model_hash=None), listed, model])
    return recipe_hash(part)


def is_made_by(run: Mapping[str, Any], recipe: Recipe) -> bool:
    """Returns whether a run's rows are those of the recipe: the stage's part is equal, and all its signals were
    measured."""
    if run["part_hash"] != part_hash(recipe, run["stage"]):
        return False
    return run["stage"] != "annotated" or set(recipe.groups) <= set(measured_groups(run))


def measured_groups(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the signal groups that a run of `annotated` has measured."""
    return from_json(run["recipe_json"]).groups


def versions(spark_version: str) -> dict[str, str]:
    """Returns the versions of Spark and of the installed packages that can change a row."""
    found = {"spark": spark_version}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass
class Run:
    """Represents a run of a stage over a dump while it works; at the end, `record` writes its row."""

    warehouse: Warehouse
    stage: str
    dump: str
    recipe: Recipe
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    _clock: float = field(default_factory=time.monotonic)

    @property
    def lineage(self) -> dict[str, object]:
        """Returns the user metadata for the commits of this run."""
        return {
            "run_id": self.run_id,
            "stage": self.stage,
            "dump": self.dump,
            "recipe": self.recipe.name,
            "recipe_hash": recipe_hash(self.recipe),
        }

    def record(
        self,
        *,
        n_rows_in: int,
        n_rows_out: int,
        n_removed: int = 0,
        n_faults: int = 0,
        n_skipped: int = 0,
        n_unread_files: int | None = None,
        upstream_runs: Mapping[Key, str] | None = None,
        input_versions: Mapping[str, int] | None = None,
        output_versions: Mapping[str, int] | None = None,
        attempt_id: str | None = None,
    ) -> dict[str, Any]:
        """Writes the row of `runs` that makes the stage count as done, and returns it."""
        row = {
            "dump": self.dump,
            "stage": self.stage,
            "run_id": self.run_id,
            "attempt_id": attempt_id,
            "recipe": self.recipe.name,
            "recipe_hash": recipe_hash(self.recipe),
            "recipe_json": without_secrets(
                canonical_json(self.recipe)
            ),  # the path of a domain list may be a signed URL
            "part_hash": part_hash(self.recipe, self.stage),
            "versions": versions(self.warehouse.spark.version),
            "upstream_runs": {key.name(self.dump): run_id for key, run_id in (upstream_runs or {}).items()},
            "input_versions": dict(input_versions or {}),
            "output_versions": dict(output_versions or {}),
            "n_rows_in": n_rows_in,
            "n_rows_out": n_rows_out,
            "n_removed": n_removed,
            "n_faults": n_faults,
            "n_skipped": n_skipped,
            "n_unread_files": n_unread_files,
            "started_at": self.started_at,
            "seconds": round(time.monotonic() - self._clock, 3),
        }
        rows = frame_of(self.warehouse.spark, [tuple(row[name] for name in schemas.RUNS.names)], schemas.RUNS)
        self.warehouse.append(rows, "runs", lineage=self.lineage)
        return row


def last_runs(warehouse: Warehouse, *, dump: str | None = None) -> dict[Key, dict[str, Any]]:
    """Reads the latest finished run of every (dump, stage) of a warehouse, or of one dump."""
    if not warehouse.exists("runs"):
        return {}
    where = {} if dump is None else {"dump": dump}
    rows = sorted(warehouse.read("runs", version=None, **where).collect(), key=_age)
    return {Key(row["dump"], row["stage"]): row.asDict() for row in rows}


def outdated(runs: Mapping[Key, Mapping[str, Any]], dump: str, stage: str) -> list[tuple[Key, Key]]:
    """Finds inputs that changed since a stage's rows were made from them: pairs of a stage and one that it reads.

    The stage that is read has been made again since, or has no run in `runs`. Stages form a graph: each run names all
    runs that it was made from, and their dumps.

    >>> made = {"documents": ("d2", {}), "filtered": ("f1", {"documents": "d1"}), "cut": ("c1", {"filtered": "f1"})}
    >>> runs = {("A", stage): {"run_id": run_id, "upstream_runs": of} for stage, (run_id, of) in made.items()}
    >>> outdated(runs, "A", "cut")
    [(Key(dump='A', stage='filtered'), Key(dump='A', stage='documents'))]
    """
    found, seen, left = [], set(), [Key(dump, stage)]
    while left:
        key = left.pop()
        if key in seen or key not in runs:
            continue
        seen.add(key)
        for name, run_id in runs[key]["upstream_runs"].items():
            before = Key.named(name, key.dump)
            if before in runs and runs[before]["run_id"] == run_id:
                left.append(before)
            else:
                found.append((key, before))
    return sorted(found)


def _age(row: Any) -> tuple[dt.datetime, str]:
    return row["started_at"], row["run_id"]
