"""What the ledgers promise: who makes a stage, at which versions its rows are read, and what is missing of them."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dclm_spark.cli import main
from dclm_spark.errors import WarehouseError
from dclm_spark.exports.pools import export_table
from dclm_spark.lake.local_locks import LocalLocks
from dclm_spark.lake.maintenance import maintain
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import deduplicated
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.recipe.deduplication import Exact
from dclm_spark.reports.funnel import count_funnel
from dclm_spark.reports.funnel_words import format_funnel
from tests.support.chains import DUMP, RECIPE, STRICTER, job_of, make_all, make_documents
from tests.support.tables import COMPARED, assert_same, content, read, version

OTHER = "CC-MAIN-2022-21"


# -- who makes a stage ------------------------------------------------------------------------------------------------


def test_who_comes_second_ends_with_a_sentence(lake, capsys):
    locks = LocalLocks(lake.location)
    forced = job_of(lake, is_forced=True)
    before = version(lake.location, "filtered")
    said = rf"process \d+ on \S+ makes filtered of {DUMP} in {lake}, and this one has ended"
    with locks.making("filtered", DUMP, what="it"):
        with pytest.raises(WarehouseError, match=said):
            make_filtered(forced)
        with locks.making("filtered", OTHER, what="it") as is_locked:
            assert is_locked, "dumps may be made beside each other"
        with (
            pytest.raises(WarehouseError, match="another process makes it"),
            locks.making("filtered", None, what="it"),
        ):
            pass
        arguments = ["filtered", "--warehouse", lake.location, "--dump", DUMP, "--force", "--quiet"]
        assert main.main(arguments) == main.EXIT_USAGE
        assert capsys.readouterr().err.count("\n") == 1
        assert not make_filtered(job_of(lake)).is_new, "what is done need not be made"
    assert version(lake.location, "filtered") == before
    assert make_filtered(forced).is_new


@contextlib.contextmanager
def unlocked(self, *_, **__):
    yield False


@pytest.fixture
def without_locks(monkeypatch):
    """The disk as a bucket is. Processes are played by one, so that no two commit in the same instant."""
    monkeypatch.setattr(Warehouse, "locked", unlocked)
    monkeypatch.setattr(Warehouse, "writing", unlocked)


@contextlib.contextmanager
def meanwhile(monkeypatch, verb: str, table: str, what):
    """Before the first call of a verb for a table, something else happens."""
    original = getattr(Warehouse, verb)
    happened = []

    def called(self, *arguments, **options):
        if table in arguments[:2] and not happened:
            happened.append(True)
            what()
        return original(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, verb, called)
        yield
    assert happened


TAKEN = "has begun to make {stage} of {dump} in .* as well: it continues, and this one has ended"


@pytest.mark.once
@pytest.mark.parametrize(
    ("verb", "table"),
    [
        pytest.param("replace", "filtered", marks=pytest.mark.slow),
        pytest.param("replace", "removed", marks=[pytest.mark.slow, pytest.mark.long]),
        pytest.param("append", "runs", marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
def test_without_locks_who_comes_last_goes_on(spark, made, lake, without_locks, monkeypatch, verb, table):
    """Between any two commits of a process another one takes over; Delta refuses what the first one commits then."""
    make_filtered(job_of(lake, recipe=STRICTER, is_forced=True))
    other = Warehouse(spark, lake.location)

    def take_over() -> None:
        assert make_filtered(job_of(other, is_forced=True)).is_new

    taken = TAKEN.format(stage="filtered", dump=DUMP)
    with meanwhile(monkeypatch, verb, table, take_over), pytest.raises(WarehouseError, match=taken):
        make_filtered(job_of(lake, recipe=STRICTER, is_forced=True))
    assert_same(content(lake.location), content(made))
    (run,) = (row for row in read(lake.location, "runs") if row["stage"] == "filtered")
    assert run["recipe"] == RECIPE.name
    assert not make_filtered(job_of(lake)).is_new


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("verb", "table", "restart"),
    [
        ("overwrite", "plans", False),
        ("append", "documents", False),
        ("append", "files", False),
        ("append", "runs", False),
        ("delete", "documents", True),
        ("delete", "quarantine", True),
        ("append", "documents", True),
    ],
)
def test_without_locks_documents_are_read_once(
    spark, made, inputs, tmp_path, without_locks, monkeypatch, verb, table, restart
):
    place = str(shutil.copytree(made, tmp_path / "lake") if restart else tmp_path / "lake")
    lake, other = Warehouse(spark, place), Warehouse(spark, place)
    ended = []

    def take_over() -> None:
        ended.append(make_documents(job_of(other), inputs, batch_files=2, restart=restart))

    taken = TAKEN.format(stage="documents", dump=DUMP)
    with meanwhile(monkeypatch, verb, table, take_over), pytest.raises(WarehouseError, match=taken):
        make_documents(job_of(lake), inputs, batch_files=2, restart=restart)
    assert ended[0].is_new
    tables = ("documents", "quarantine", "files")
    assert_same(content(place, tables), content(made, tables))
    assert [row["stage"] for row in read(place, "runs")].count("documents") == 1
    make_all(job_of(lake), inputs)
    assert_same(content(place), content(made))


# -- which rows are read ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.once
def test_texts_of_a_table_that_is_older_than_what_it_was_made_from_are_not_handed_out(lake, tmp_path):
    recipe = replace(RECIPE, deduplication=(Exact("exact", "url"),))
    job = job_of(lake, recipe=recipe)
    [outcome] = deduplicated.make_deduplicated(job, [DUMP])
    assert dict(outcome.run["input_versions"]) == {"filtered": version(lake.location, "filtered")}
    [done] = export_table(lake, "deduplicated", to=str(tmp_path / "pool"))
    assert done["n_rows"] == 8
    make_filtered(job_of(lake, recipe=STRICTER, is_forced=True))
    with pytest.raises(WarehouseError, match=f"the deduplicated of {DUMP} are out of date: filtered were made again"):
        export_table(lake, "deduplicated", to=str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    assert count_funnel(lake)[0]["is_stale"]


# -- logs that have lost an entry -------------------------------------------------------------------------------------


def lose(lake: Warehouse, table: str, *suffixes: str) -> int:
    """Deletes the files of the last entry of a table's log that have these suffixes; gives its number."""
    number = version(lake.location, table)
    for suffix in suffixes:
        (Path(lake.location) / table / "_delta_log" / f"{number:020d}.{suffix}").unlink()
    return number


def assert_mended(lake: Warehouse, made: Path, inputs: Path, lost: dict[str, int]) -> None:
    [entry] = count_funnel(lake)
    assert entry["lost"] == lost
    for table, number in lost.items():
        assert f"MISSING: {table} has lost version {number} of its log" in format_funnel([entry])
    outcomes = make_all(job_of(lake), inputs, batch_files=2)
    assert outcomes[-1].is_new
    assert_same(content(lake.location), content(made))
    [entry] = count_funnel(lake)
    assert entry["is_balanced"] and not entry.keys() & {"lost", "unfinished"}
    assert not any(outcome.is_new for outcome in make_all(job_of(lake), inputs))


@pytest.mark.once
@pytest.mark.parametrize(
    "suffixes",
    [
        pytest.param(("json",), marks=pytest.mark.slow),
        pytest.param(("json", "crc"), marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
def test_a_stage_whose_table_has_lost_its_last_version_is_made_anew(made, lake, inputs, suffixes):
    number = lose(lake, "filtered", *suffixes)
    before = version(made, "annotated")
    with pytest.raises(WarehouseError, match=rf"filtered of {DUMP} are incomplete: filtered has lost version {number}"):
        deduplicated.make_deduplicated(job_of(lake, recipe=replace(RECIPE, deduplication=(Exact("exact"),))), [DUMP])
    assert_mended(lake, made, inputs, {"filtered": number})
    assert version(lake.location, "annotated") == before


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("table", ["removed", "annotated", "quarantine", "files", "plans"])
def test_what_has_lost_its_last_version_is_made_anew(made, lake, inputs, table):
    assert_mended(lake, made, inputs, {table: lose(lake, table, "json")})


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("suffixes", [("json",), ("json", "crc")])
def test_documents_that_have_lost_a_batch_are_read_anew(made, lake, inputs, suffixes):
    assert_mended(lake, made, inputs, {"documents": lose(lake, "documents", *suffixes)})


@pytest.mark.slow
@pytest.mark.once
def test_a_stage_whose_run_is_lost_is_named_and_made_anew(made, lake, inputs):
    lose(lake, "runs", "json")
    [entry] = count_funnel(lake)
    assert "filtered" not in entry and entry["unfinished"] == ["filtered"]
    assert "NOT FINISHED: rows of filtered without a finished run" in format_funnel([entry])
    assert [outcome.is_new for outcome in make_all(job_of(lake), inputs)] == [False, False, True]
    assert_same(content(lake.location), content(made))
    assert "unfinished" not in count_funnel(lake)[0]


@pytest.mark.once
def test_a_dump_whose_runs_are_all_lost_is_named(lake):
    shutil.rmtree(Path(lake.location) / "runs")
    [entry] = count_funnel(lake)
    assert entry["unfinished"] == ["annotated", "filtered"]
    assert "not finished" in format_funnel([entry]) and "is_balanced" not in entry


@pytest.mark.slow
@pytest.mark.long
def test_what_others_commit_and_what_is_maintained_takes_nothing_away(lake, inputs):
    make_all(job_of(lake, dump=OTHER), inputs)
    maintain(lake)
    for table in COMPARED:
        lake.spark.sql(f"ALTER TABLE {lake.name(table)} SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
        for entry in sorted((Path(lake.location) / table / "_delta_log").glob("*.json"))[:-1]:
            entry.unlink()  # as Delta does in a year
    for dump in (DUMP, OTHER):
        assert not any(outcome.is_new for outcome in make_all(job_of(lake, dump=dump), inputs))
    assert not any(entry.keys() & {"lost", "unfinished"} for entry in count_funnel(lake))
    assert json.dumps(count_funnel(lake))
