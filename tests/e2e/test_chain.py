"""The chain of one dump: made, made again, changed, refused; what it counts is what the files hold."""

import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dclm_spark.errors import FaultLimitError, InputError, ProblemsError, RecipeError, WarehouseError
from dclm_spark.files.inputs import Listing, SourceFile
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import ingest_plan
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.pipeline.run_stage import forced_stages
from dclm_spark.recipe.bounds import Bound
from dclm_spark.reports.funnel import count_funnel
from tests.support.archives import english_pages, write_warc
from tests.support.chains import (
    DUMP,
    GERMAN,
    LARGE,
    RECIPE,
    SHORT,
    STRICTER,
    count_records,
    job_of,
    make_all,
    make_documents,
)
from tests.support.tables import assert_balanced, assert_same, content, read, version

TABLES = ("documents", "quarantine", "files", "plans", "annotated", "removed", "filtered", "runs")


def versions(warehouse: Warehouse) -> dict[str, int]:
    return {table: version(warehouse.location, table) for table in TABLES}


def run_ids(warehouse: Warehouse) -> dict[str, str]:
    """Stage -> its run, of which there is one."""
    rows = read(warehouse.location, "runs")
    assert len({row["stage"] for row in rows}) == len(rows)
    return {row["stage"]: row["run_id"] for row in rows}


# -- what is counted --------------------------------------------------------------------------------------------------


def test_every_record_and_every_document_is_in_one_place(made, inputs):
    assert_balanced(made, DUMP)
    archives = [path for path in inputs.iterdir() if path.suffix != ".md"]
    assert {row["path"]: row["n_records"] for row in read(made, "files")} == {
        str(path): count_records([path]).total() for path in archives
    }
    removed = read(made, "removed")
    gone = {row["doc_id"]: row["removed_by"] for row in removed}
    urls = {row["doc_id"]: row["url"] for row in read(made, "documents")}
    pages = {
        row["doc_id"]: (row["url"], row["urls"]["host"], row["language"]["code"]) for row in read(made, "annotated")
    }
    assert all((row["url"], row["host"], row["language"]) == pages[row["doc_id"]] for row in removed)
    assert {urls[doc_id]: rule for doc_id, rule in gone.items()} == {
        SHORT: "quality.n_words",
        GERMAN: "language.p_target",
    }
    assert [row["url"] for row in read(made, "quarantine")] == [LARGE]
    kept = {row["doc_id"] for row in read(made, "filtered")}
    assert kept.isdisjoint(gone) and kept | gone.keys() == urls.keys()


def test_the_funnel_and_the_runs_count_alike(spark, made, inputs):
    (entry,) = count_funnel(Warehouse(spark, str(made)))
    assert entry["is_balanced"] and not entry["is_stale"]
    assert (entry["files"], entry["skipped_files"]) == (4, 1)
    assert entry["records"] == count_records(path for path in inputs.iterdir() if path.suffix != ".md").total()
    assert entry["skipped"] == {"type:warcinfo": 4, "content_type": 2, "http_status": 1}
    assert entry["quarantined"] == {"too_large": 1}
    assert (entry["documents"], entry["filtered"]) == (10, 8)
    assert {rule: n for rule, n in entry["removed"].items() if n} == {"quality.n_words": 1, "language.p_target": 1}
    assert list(entry["removed"]) == [bound.signal for bound in RECIPE.bounds]

    runs = {row["stage"]: row for row in read(made, "runs")}
    counts = ("n_rows_in", "n_rows_out", "n_removed", "n_faults", "n_skipped")
    assert {stage: tuple(row[name] for name in counts) for stage, row in runs.items()} == {
        "documents": (entry["records"], 10, 0, 1, 7),
        "annotated": (10, 10, 0, 0, 0),
        "filtered": (10, 8, 2, 0, 0),
    }
    assert dict(runs["filtered"]["upstream_runs"]) == {"annotated": runs["annotated"]["run_id"]}
    assert dict(runs["annotated"]["input_versions"]) == {"documents": version(made, "documents")}


# -- again, and with something changed --------------------------------------------------------------------------------


def test_a_second_run_does_nothing_and_says_so(lake, inputs):
    before = versions(lake), run_ids(lake)
    assert [outcome.is_new for outcome in make_all(job_of(lake), inputs)] == [False] * 3
    assert (versions(lake), run_ids(lake)) == before


def test_a_changed_bound_redoes_filtered_alone(lake, inputs):
    before, before_runs = versions(lake), run_ids(lake)
    job = job_of(lake, recipe=STRICTER)
    with pytest.raises(WarehouseError, match="were made by another recipe .tested.*expected: stricter.*--force"):
        make_filtered(job)
    assert versions(lake) == before

    assert forced_stages(job, ("documents", "annotated", "filtered")) == {"filtered"}
    assert make_annotated(job).is_new is False
    assert make_filtered(replace(job, is_forced=True)).is_new
    changed = {table for table, number in versions(lake).items() if number != before[table]}
    assert changed == {"removed", "filtered", "runs"}
    changed = {stage for stage, run_id in run_ids(lake).items() if run_id != before_runs[stage]}
    assert changed == {"filtered"}
    assert_balanced(lake.location, DUMP)
    assert {row["n_words"] >= 115 for row in read(lake.location, "filtered")} == {True}
    assert len(read(lake.location, "filtered")) == 5


def test_a_forced_stage_that_was_interrupted_is_not_done(lake, made, monkeypatch):
    replace_rows = Warehouse.replace

    def interrupted(self, rows, table, **options):
        if table == "filtered":
            raise KeyboardInterrupt
        return replace_rows(self, rows, table, **options)

    monkeypatch.setattr(Warehouse, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_filtered(job_of(lake, recipe=STRICTER, is_forced=True))
    monkeypatch.undo()
    assert len(read(lake.location, "removed")) > len(read(made, "removed"))
    assert make_filtered(job_of(lake)).is_new
    assert_same(content(lake.location), content(made))


@pytest.mark.parametrize("stage", ["documents", "annotated"])
def test_another_recipe_over_existing_rows_is_refused(lake, inputs, stage):
    part = {
        "documents": {"extraction": replace(RECIPE.extraction, max_page_bytes=30_000)},
        "annotated": {"annotation": replace(RECIPE.annotation, newline=" ")},
    }
    before = versions(lake)
    with pytest.raises(WarehouseError, match=f"the {stage} of {DUMP} .*another recipe .tested.*expected: another"):
        make_all(job_of(lake, recipe=replace(RECIPE, name="another", **part[stage])), inputs)
    assert versions(lake) == before


@pytest.mark.slow
@pytest.mark.once
def test_a_changed_list_of_files_is_named_and_a_restart_replaces_the_dump(lake, inputs, tmp_path):
    new = write_warc(tmp_path / "new.warc.gz", english_pages(4, site="new.org"))
    old = inputs / "file-0.warc.gz"
    before = versions(lake)
    with pytest.raises(InputError, match=rf"1 new \({new}\); 3 missing .*file-1.*--restart"):
        make_documents(job_of(lake), old, new)
    assert versions(lake) == before

    # What follows is out of date, and is made anew without being forced.
    assert all(outcome.is_new for outcome in make_all(job_of(lake), old, new, restart=True))
    assert {row["url"].split("/")[2] for row in read(lake.location, "filtered")} == {"long.org", "new.org"}
    assert {row["warc_path"] for row in read(lake.location, "documents")} == {str(old), str(new)}
    assert read(lake.location, "quarantine") == []
    assert_balanced(lake.location, DUMP)

    # The same name with other bytes is another file.
    shutil.copy(inputs / "file-1.warc.gz", new)
    with pytest.raises(InputError, match="1 of another size"):
        make_documents(job_of(lake), old, new)


@pytest.mark.slow
def test_an_ablation_borrows_what_it_does_not_change(spark, lake, tmp_path):
    own = Warehouse(spark, str(tmp_path / "ablation"))
    before = versions(lake)
    job = job_of(own, recipe=STRICTER, upstream=lake)
    annotated, filtered = make_annotated(job), make_filtered(job)
    assert (annotated.is_new, annotated.is_lent, annotated.run["run_id"]) == (False, True, run_ids(lake)["annotated"])
    assert (filtered.is_new, filtered.run["n_rows_out"], filtered.run["n_removed"]) == (True, 5, 5)
    assert {folder.name for folder in Path(own.location).iterdir()} == {"filtered", "removed", "runs"}
    assert versions(lake) == before
    assert make_filtered(job).is_new is False
    (entry,) = count_funnel(own, upstream=lake)
    assert (entry["recipe"], entry["documents"], entry["filtered"], entry["is_balanced"]) == ("stricter", 10, 5, True)


def test_a_stage_without_the_one_before_says_what_to_run(spark, tmp_path):
    own = Warehouse(spark, str(tmp_path / "empty"))
    with pytest.raises(WarehouseError, match=f"no finished documents of {DUMP} in {own}; run `dclm-spark documents`"):
        make_annotated(job_of(own))
    assert not Path(own.location).exists()


# -- faults -----------------------------------------------------------------------------------------------------------


def test_faults_above_the_limit_fail_the_job_after_its_work_is_safe(warehouse, inputs):
    file = inputs / "file-1.warc.gz"
    strict = job_of(warehouse, recipe=replace(RECIPE, max_fault_share=0.1))
    said = r"1 of 7 records .* \(14.3%\) are in quarantine, more than the recipe's limit of 10.0%; all is written"
    with pytest.raises(FaultLimitError, match=said):
        make_documents(strict, file)
    assert len(read(warehouse.location, "documents")) == 5
    before = versions(warehouse)
    with pytest.raises(FaultLimitError, match=said):
        make_documents(strict, file)
    assert make_documents(job_of(warehouse, recipe=replace(RECIPE, max_fault_share=0.2)), file).is_new is False
    assert versions(warehouse) == before


# -- errors before any work -------------------------------------------------------------------------------------------


class NoSession:
    """A session that fails the test when it is asked for anything but where it runs."""

    conf = {"spark.master": "local[2]"}

    def __getattr__(self, name):
        raise AssertionError(f"Spark was asked for {name}")


def refuse(lake: Path, *inputs: Path, dump: str = DUMP, recipe=RECIPE, **options) -> ProblemsError:
    """The error of a job that never reaches Spark nor makes a folder."""
    was_there = lake.exists()
    with pytest.raises(ProblemsError) as refused:
        make_documents(job_of(Warehouse(NoSession(), str(lake)), dump=dump, recipe=recipe), *inputs, **options)
    assert lake.exists() == was_there
    return refused.value


@pytest.mark.parametrize("dump", ["../x", "", "a/b", "x'y", "..", "a..b", "-a", "x" * 129, "a b"])
def test_a_dump_name_that_is_no_plain_name_is_refused(inputs, tmp_path, dump):
    error = refuse(tmp_path / "lake", inputs, dump=dump)
    assert isinstance(error, InputError)
    assert len(error.problems) == 1 and repr(dump) in str(error)


@pytest.mark.parametrize(
    "bound, said",
    [
        (Bound("quality.n_wrods", at_least=1), "unknown signal 'quality.n_wrods'; known are: urls.n_banned_domains"),
        (Bound("language.code", at_least=1), "unknown signal 'language.code'"),
        (Bound("quality.n_words", at_least=9, at_most=3), "cross (>= 9 and <= 3): no page could pass"),
        (Bound("quality.n_words", above=3, below=3), "cross (> 3 and < 3)"),
        (Bound("quality.n_words"), "limits nothing"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(inputs, tmp_path, bound, said):
    error = refuse(tmp_path / "lake", inputs, recipe=replace(RECIPE, bounds=(bound,)))
    assert isinstance(error, RecipeError)
    assert len(error.problems) == 1 and said in str(error)


def test_an_input_that_names_no_files_is_refused(inputs, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.md").write_text("no archive")
    (tmp_path / "list.txt").write_text("\n")
    for named, said in [
        ((), "no input was named"),
        ((tmp_path / "absent.warc.gz",), "absent.warc.gz' does not exist"),
        ((tmp_path / "notes",), "holds no archive or pool, but 1 other files"),
        ((tmp_path / "list.txt",), "list.txt' is empty"),
        ((inputs, inputs / "file-0.warc.gz"), "file-0.warc.gz"),
    ]:
        error = refuse(tmp_path / "lake", *named)
        assert isinstance(error, InputError)
        assert len(error.problems) == 1 and said in str(error), str(error)


def test_batches_of_no_files_are_refused(inputs, tmp_path):
    assert "expected 1 or more" in str(refuse(tmp_path / "lake", inputs, batch_files=0))


def test_a_warehouse_under_a_file_is_refused(inputs, tmp_path):
    error = refuse(inputs / "notes.md" / "lake", inputs)
    assert isinstance(error, WarehouseError)
    assert "notes.md is a file; name a folder" in str(error)


def _read_only_folder(tmp_path: Path) -> Path:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    # Root may write anywhere but on a file system that is mounted read-only.
    for folder in (closed, Path("/sys"), Path("/proc/sys")):
        if folder.is_dir() and not os.access(folder, os.W_OK):
            return folder
    pytest.skip("nothing is read-only to this user here")


def test_a_warehouse_that_cannot_be_written_is_refused(inputs, tmp_path):
    closed = _read_only_folder(tmp_path)
    assert f"no permission to write in {closed}" in str(refuse(closed / "lake", inputs))


def test_a_warehouse_whose_folder_cannot_be_made_is_refused(spark, inputs):
    # Only the file system itself can tell: the permissions of /proc promise more than it keeps.
    with pytest.raises(WarehouseError, match="the warehouse /proc/lake cannot be written"):
        make_documents(job_of(Warehouse(spark, "/proc/lake")), inputs)


def test_all_problems_are_reported_at_once(inputs, tmp_path):
    recipe = replace(RECIPE, bounds=(Bound("quality.none", at_least=1), Bound("quality.n_words", above=3, below=2)))
    absent = [tmp_path / "absent.warc.gz", tmp_path / "lost.warc.gz"]
    error = refuse(inputs / "notes.md" / "lake", *absent, dump="a/b", recipe=recipe)
    said = ["quality.none", "cross", "a/b", "absent.warc.gz", "lost.warc.gz", "is a file"]
    assert len(error.problems) == len(said)
    assert all(word in problem for word, problem in zip(said, error.problems, strict=True))


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_plan_cuts_files_into_batches_with_the_largest_first():
    files = tuple(SourceFile(f"{i}.warc", n_bytes) for i, n_bytes in enumerate([1, 9, 5, None, 2, 2, 7]))
    plan = ingest_plan.make_plan(Listing(files, ("x",)), batch_files=2, part="p")
    assert (plan.n_batches, plan.n_skipped_files) == (4, 1)
    assert [(batch, position, path) for batch, position, path, _ in plan.files] == [
        (0, 0, "1.warc"),
        (0, 1, "0.warc"),
        (1, 0, "2.warc"),
        (1, 1, "3.warc"),
        (2, 0, "4.warc"),
        (2, 1, "5.warc"),
        (3, 0, "6.warc"),
    ]


@pytest.mark.slow
@pytest.mark.once
def test_batches_and_order_of_files_change_no_row(spark, warehouse, inputs, tmp_path, monkeypatch):
    """Seven files in four commits, the third of them interrupted; in three; in one: as three dumps of a warehouse."""
    few = [write_warc(tmp_path / f"few-{i}.warc.gz", english_pages(i + 1, site=f"few-{i}.org")) for i in range(5)]
    files = [inputs / "file-0.warc.gz", *few, inputs / "file-1.warc.gz"]

    append = Warehouse.append

    def interrupted(self, rows, table, **options):
        if table == "documents" and options["batch"][1] == 2:
            raise KeyboardInterrupt
        append(self, rows, table, **options)

    monkeypatch.setattr(Warehouse, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_documents(job_of(warehouse, dump="A"), *files, batch_files=2)
    monkeypatch.undo()
    assert read(warehouse.location, "runs") == []
    assert {row["batch"] for row in read(warehouse.location, "files")} == {0, 1}
    # The batches are those of the plan, whatever is asked for now.
    made = make_documents(job_of(warehouse, dump="A"), *reversed(files), batch_files=1)
    assert (made.is_new, made.run["n_rows_out"], made.run["n_faults"]) == (True, 25, 1)

    make_documents(job_of(warehouse, dump="B"), *files[3:], *files[:3], batch_files=3)
    make_documents(job_of(warehouse, dump="C"), *reversed(files), batch_files=100)
    assert [n_commits(warehouse, "documents", dump) for dump in "ABC"] == [4, 3, 1]
    one, *others = (
        {
            table: sorted(str({**row, **nameless}) for row in read(warehouse.location, table, dump=dump))
            for table in ("documents", "quarantine", "files")
        }
        for dump in "ABC"
        for nameless in [{"dump": "", "attempt_id": "", "batch": 0}]
    )
    assert all(other == one for other in others)


def n_commits(warehouse: Warehouse, table: str, dump: str) -> int:
    """Commits that appended rows of a dump."""
    history = warehouse.spark.sql(f"DESCRIBE HISTORY {warehouse.name(table)}").collect()
    return sum(row["operation"] == "WRITE" and json.loads(row["userMetadata"])["dump"] == dump for row in history)


@pytest.mark.slow
@pytest.mark.once
def test_two_dumps_at_once_make_one_warehouse(warehouse, inputs):
    """Both create the tables, both write to them: neither waits, fails or loses a row."""
    names = ("CC-MAIN-2022-05", "CC-MAIN-2022-21")
    failed = []

    def make(dump: str) -> None:
        try:
            make_all(job_of(warehouse, dump=dump), inputs)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make, args=(dump,)) for dump in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for dump in names:
        assert_balanced(warehouse.location, dump)
        assert len(read(warehouse.location, "filtered", dump=dump)) == 8
