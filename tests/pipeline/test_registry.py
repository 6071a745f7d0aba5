"""The registry of stages: what is put into it is in `run`, the help, the funnel and `export`, and nowhere else."""

import json
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.exports.pools import FORMATS
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.registry import STAGES, Stage
from dclm_spark.pipeline.run_stage import Outcome, make_stage, write_split
from dclm_spark.recipe import as_json
from tests.support.chains import DUMP, RECIPE, write_dump
from tests.support.commands import dclm
from tests.support.tables import read

pytestmark = pytest.mark.once

EXAMPLE = "Example:\n  dclm-spark polite --dump CC-MAIN-2022-05 --warehouse lake\n"


def make_polite(job: Job) -> Outcome:
    """The documents of `filtered` of an even number of words."""

    def write(run, filtered):
        is_odd = F.when(F.col("n_words") % 2 == 1, F.lit("odd"))
        facts = {"removed_by": is_odd, "value": F.col("n_words").cast("double"), "detail": F.lit("even")}
        return write_split(job, run, filtered.withColumns(facts), "polite")

    return make_stage(job, "polite", write)


@pytest.fixture
def polite(monkeypatch) -> Stage:
    """A stage that the package does not have: a record, a schema and a function."""
    stage = Stage(
        "polite",
        help="make one table: documents of an even number of words",
        examples=EXAMPLE,
        reads=("filtered",),
        writes=("removed", "polite"),
        removes="odd_removed",
        make=make_polite,
    )
    monkeypatch.setitem(STAGES, "polite", stage)
    monkeypatch.setitem(schemas.TABLES, "polite", schemas.FILTERED)
    monkeypatch.setitem(schemas.PARTITIONS, "polite", ("dump",))
    monkeypatch.setitem(schemas.DESCRIPTIONS, "polite", "One row is a document of an even number of words.")
    return stage


def test_a_stage_of_the_registry_is_everywhere(spark, polite, tmp_path):
    _, commands, _ = dclm("--help")
    assert f" polite {polite.help} " in " ".join(commands.split())
    _, taught, _ = dclm("polite", "--help")
    assert "Make one table: documents of an even number of words." in taught and EXAMPLE in taught

    write_dump(tmp_path / "warc")
    (tmp_path / "tested.json").write_text(as_json.canonical_json(RECIPE))
    where = ("--dump", DUMP, "--warehouse", tmp_path / "lake")
    chain = (*where, "--recipe", tmp_path / "tested.json")
    status, funnel, said = dclm("run", *chain, "--input", tmp_path / "warc")
    assert status == 0, said
    words = [row["n_words"] for row in read(tmp_path / "lake", "filtered")]
    n_odd = sum(n % 2 for n in words)
    assert f"polite {DUMP}: {len(words)} in, {len(words) - n_odd} out, {n_odd} removed" in said
    assert funnel.splitlines()[-1].endswith(", filtered = removed + polite")
    _, again, said = dclm("polite", *chain)
    assert f"polite {DUMP}: up to date" in said and again == funnel

    [entry] = json.loads(dclm("funnel", "--warehouse", tmp_path / "lake", "--json")[1])
    assert (entry["filtered"], entry["polite"]) == (len(words), len(words) - n_odd)
    assert entry["odd_removed"] == ({"odd": n_odd} if n_odd else {})
    assert (entry["is_balanced"], entry["is_stale"]) == (True, False)

    status, _, said = dclm("export", "polite", *where, "--to", tmp_path / "pool", "--format", FORMATS[-1], "--quiet")
    assert status == 0, said
    lines = [line for file in Path(tmp_path / "pool").iterdir() for line in file.read_text().splitlines()]
    assert len(lines) == len(words) - n_odd


def test_a_stage_that_is_not_in_the_registry_is_nowhere():
    assert "polite" not in dclm("--help")[1]
    assert dclm("polite", "--dump", DUMP, "--warehouse", "lake")[0] == 2


def test_records_name_tables_that_there_are():
    seen: set[str] = set()
    for stage in STAGES.values():
        assert seen.issuperset(stage.reads), "a stage reads what was made before"
        assert stage.name in stage.writes and schemas.TABLES.keys() >= {*stage.writes}
        assert (stage.removes is None) == ("removed" not in stage.writes)
        seen.add(stage.name)
