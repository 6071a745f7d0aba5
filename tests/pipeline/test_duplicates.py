"""Near-duplicates through the chain: per dump, all at once, one after the other; refused, interrupted, and again."""

import json
from collections import defaultdict
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.cli.main import main
from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.rows import frame_of
from tests.support import near
from tests.support.tables import read

A, B, C = "CC-MAIN-2022-05", "CC-MAIN-2022-21", "CC-MAIN-2022-27"
RECIPE = Recipe("near", signatures=MinHash(), duplicates=NearDuplicates())
TEXTS = near.variants(60, seed=5)


def texts_of(dump: str) -> list[str]:
    """Pages crawled three times: as they were, with a word more, and with pages that join what was apart before."""
    if dump == A:
        return [*TEXTS[:40], "too short", ""]
    if dump == B:
        return [*(f"{text} again" for text in TEXTS[20:60]), "too short"]
    return [*TEXTS[::2], *TEXTS[::7]]


def fill(warehouse: Warehouse, recipe: Recipe = RECIPE, dumps: tuple[str, ...] = (A, B, C)) -> None:
    """Rows of `filtered`, as a run of the recipe would have left them."""
    warehouse.prepare("filtered", "runs")
    for dump in dumps:
        run = Job(warehouse, dump, recipe).run("filtered")
        rows = [tuple(row.values()) for row in near.documents(texts_of(dump), dump=dump)]
        frame = frame_of(warehouse.spark, rows, schemas.FILTERED)
        commit = warehouse.replace(frame, "filtered", lineage=run.lineage, dump=dump)
        run.record(n_rows_in=commit.n_rows, n_rows_out=commit.n_rows, output_versions={"filtered": commit.version})


def job(warehouse: Warehouse, dump: str = A, recipe: Recipe = RECIPE, **options) -> Job:
    return Job(warehouse, dump, recipe, is_quiet=True, **options)


def scoped(scope: str, **settings) -> Recipe:
    return replace(RECIPE, duplicates=replace(RECIPE.duplicates, scope=scope, **settings))


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory) -> Warehouse:
    """A warehouse with the signatures of three dumps, which others borrow."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("source") / "lake"))
    fill(warehouse)
    for dump in (A, B, C):
        make_signatures(job(warehouse, dump))
    return warehouse


def duplicates_of(warehouse: Warehouse) -> list[dict]:
    return sorted(read(warehouse.location, "duplicates"), key=lambda row: (row["dump"], row["doc_id"]))


def clusters_of(rows: list[dict]) -> list[list[str]]:
    clusters = defaultdict(list)
    for row in rows:
        clusters[row["cluster_id"]].append(row["doc_id"])
    return sorted(map(sorted, clusters.values()))


def test_each_dump_by_itself_to_the_end(source, tmp_path):
    warehouse = Warehouse(source.spark, str(tmp_path / "lake"))
    outcomes = make_duplicates(job(warehouse, upstream=source), [A, B])
    assert [(outcome.run["dump"], outcome.is_new) for outcome in outcomes] == [(A, True), (B, True)]
    rows = duplicates_of(warehouse)
    assert {row["scope"] for row in rows} == {"dump"}
    signed = [row for row in read(source.location, "signatures") if row["dump"] == A]
    expected = near.clusters_of(signed, RECIPE.signatures, RECIPE.duplicates)
    assert clusters_of([row for row in rows if row["dump"] == A]) == sorted(map(sorted, expected.values()))
    assert all(row["cluster_id"][: len(A)] == row["dump"] for row in rows)

    [done] = make_deduplicated(job(warehouse, A, upstream=source), [A])
    gone = {row["doc_id"]: row for row in read(warehouse.location, "removed")}
    kept = {row["doc_id"]: row for row in read(warehouse.location, "deduplicated")}
    assert (done.run["n_rows_in"], done.run["n_rows_out"], done.run["n_removed"]) == (42, len(kept), len(gone))
    assert set(gone) == {row["doc_id"] for row in rows if row["dump"] == A and not row["is_kept"]}
    assert gone.keys() | kept.keys() == {row["doc_id"] for row in read(source.location, "filtered", dump=A)}
    assert sum(row["cluster_size"] for row in kept.values()) == 42
    for doc_id, row in gone.items():
        member = next(entry for entry in rows if entry["doc_id"] == doc_id)
        assert (row["stage"], row["removed_by"]) == ("deduplicated", "near_duplicate")
        assert (row["value"], row["detail"]) == (member["similarity"], f"of {member['cluster_id']}")

    again = make_duplicates(job(warehouse, upstream=source), [A, B])
    assert [outcome.is_new for outcome in again] == [False, False]
    assert not make_deduplicated(job(warehouse, A, upstream=source), [A])[0].is_new


@pytest.mark.slow
def test_dumps_one_after_the_other_equal_all_at_once(source, tmp_path, monkeypatch):
    spark = source.spark
    whole, added = (Warehouse(spark, str(tmp_path / name)) for name in ("whole", "added"))
    make_duplicates(job(whole, recipe=scoped("all"), upstream=source), [C, A, B])
    at_once = duplicates_of(whole)
    assert {row["dump"] for row in at_once} == {A, B, C}

    recipe = scoped("incremental")
    states = []
    for dump in (A, B, C):
        [outcome] = make_duplicates(job(added, dump, recipe, upstream=source), [dump])
        states.append(duplicates_of(added))
        n_own = sum(row["dump"] == dump for row in states[-1])
        assert (outcome.run["dump"], outcome.run["n_rows_out"]) == (dump, n_own)
    assert clusters_of(states[-1]) == clusters_of(at_once)
    for before, after in zip(states, states[1:], strict=False):
        now = {(row["dump"], row["doc_id"]): row for row in after}
        for row in before:
            assert now[row["dump"], row["doc_id"]]["is_kept"] == row["is_kept"]
    # Clusters that joined: what was a survivor belongs to another one now.
    merged = read(added.location, "merged_clusters")
    for number, dump in enumerate((B, C)):
        now = {row["doc_id"]: row["cluster_id"] for row in states[number + 1]}
        moved = {
            (now[row["doc_id"]], row["doc_id"])
            for row in states[number]
            if row["doc_id"] == row["cluster_id"] != now[row["doc_id"]]
        }
        assert {(row["cluster_id"], row["merged_id"]) for row in merged if row["dump"] == dump} == moved

    # The last one reads what the first two read, each at a version of its own table.
    versions = {f"signatures{of}": source.version("signatures") for of in ("", f" {A}", f" {B}")}
    assert dict(outcome.run["input_versions"]) == versions

    # Nothing new; and a dump in the middle done anew takes what was added to it along.
    assert not make_duplicates(job(added, B, recipe, upstream=source), [B])[0].is_new
    assert make_duplicates(job(added, B, recipe, upstream=source, is_forced=True), [B])[0].is_new
    assert duplicates_of(added) == states[1]
    # Interrupted between the tables, the same command goes on.
    with monkeypatch.context() as patched:
        original = Warehouse.replace

        def fail(self, rows, table, **options):
            if table == "merged_clusters":
                raise KeyboardInterrupt
            return original(self, rows, table, **options)

        patched.setattr(Warehouse, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            make_duplicates(job(added, C, recipe, upstream=source), [C])
    assert make_duplicates(job(added, C, recipe, upstream=source), [C])[0].is_new
    assert duplicates_of(added) == states[2]
    assert sorted(map(str, read(added.location, "merged_clusters"))) == sorted(map(str, merged))


@pytest.mark.slow
def test_a_dump_is_not_added_to_what_other_settings_have_compared(source, tmp_path):
    lake = Warehouse(source.spark, str(tmp_path / "lake"))
    make_duplicates(job(lake, A, scoped("incremental"), upstream=source), [A])
    stricter = scoped("incremental", threshold=0.9)
    said = f"{B} cannot be added to what other settings of near-duplicates have compared in {lake} .*threshold is 0.7"
    with pytest.raises(WarehouseError, match=f"{said}; expected 0.9"):
        make_duplicates(job(lake, B, stricter, upstream=source), [B])
    assert {row["dump"] for row in read(lake.location, "runs")} == {A}
    [outcome] = make_duplicates(job(lake, B, stricter, upstream=source, is_forced=True), [B])
    assert dict(outcome.run["upstream_runs"]).keys() == {"signatures"}, "those dumps are left out"


@pytest.mark.slow
def test_shards_of_all_dumps(source, tmp_path):
    warehouse = Warehouse(source.spark, str(tmp_path / "lake"))
    recipe = scoped("shards", n_shards=2)
    outcomes = make_duplicates(job(warehouse, recipe=recipe, upstream=source), [C, A, B])
    assert [(outcome.run["dump"], outcome.is_new) for outcome in outcomes] == [(A, True), (B, True), (C, True)]
    shard = F.pmod(F.xxhash64("doc_id"), F.lit(2)).alias("shard")
    shards = dict(map(tuple, source.read("signatures").select("doc_id", shard).collect()))
    expected = []
    for number in range(2):
        signed = [row for row in read(source.location, "signatures") if shards[row["doc_id"]] == number]
        expected += near.clusters_of(signed, RECIPE.signatures, RECIPE.duplicates).values()
    rows = duplicates_of(warehouse)
    assert {row["scope"] for row in rows} == {"shards"}
    assert clusters_of(rows) == sorted(map(sorted, expected))
    assert any(len({doc_id[: len(A)] for doc_id in members}) > 1 for members in expected)
    assert not make_duplicates(job(warehouse, recipe=recipe, upstream=source), [A, B, C])[0].is_new
    with pytest.raises(WarehouseError, match="made by another recipe"):
        make_duplicates(job(warehouse, recipe=scoped("shards", n_shards=3), upstream=source), [A, B, C])


def test_what_other_recipes_have_made_is_refused(source, tmp_path):
    other = replace(RECIPE, signatures=MinHash(seed=7))
    with pytest.raises(WarehouseError, match="signatures of CC-MAIN-2022-05 .* were made by another recipe"):
        make_duplicates(job(source, A, other), [A])
    with pytest.raises(WarehouseError, match="no finished signatures of CC-MAIN-2022-33 .*`dclm-spark signatures`"):
        make_duplicates(job(source, "CC-MAIN-2022-33"), ["CC-MAIN-2022-33"])
    with pytest.raises(InputError, match="named twice"):
        make_duplicates(job(source), [A, A])
    with pytest.raises(InputError, match="cannot name a partition"):
        make_duplicates(job(source), [A, "../B"])
    wrong = replace(RECIPE, signatures=MinHash(n_bands=0, words="letters"), duplicates=NearDuplicates(threshold=2))
    with pytest.raises(RecipeError) as error:
        make_signatures(job(source, recipe=wrong))
    assert len(error.value.problems) == 3
    with pytest.raises(RecipeError) as error:
        make_duplicates(job(source, recipe=scoped("shard", n_shards=0)), [A])
    assert error.value.problems == (
        "duplicates.scope is 'shard'; expected one of: dump, shards, all, incremental",
        "duplicates.n_shards is 0; expected 1 to 1,048,576",
    )


@pytest.mark.slow
def test_the_commands(source, tmp_path, capsys):
    lake = str(tmp_path / "lake")
    recipe_file = tmp_path / "near.json"
    from dclm_spark.recipe import as_json

    recipe_file.write_text(as_json.canonical_json(RECIPE))
    common = ["--warehouse", lake, "--upstream", source.location, "--recipe", str(recipe_file), "--quiet"]
    assert main(["duplicates", "--dump", A, "--dump", B, *common, "--threshold", "0.8", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [run["dump"] for run in answer] == [A, B]
    assert answer[0]["recipe_json"]["duplicates"]["threshold"] == 0.8
    assert main(["duplicates", "--dump", A, *common]) == 2
    assert "made by another recipe" in capsys.readouterr().err
    at_once = ["--scope", "shards", "--shards", "4", "--force", "--json"]
    assert main(["duplicates", "--dump", A, B, *common, *at_once]) == 0
    answer = json.loads(capsys.readouterr().out)
    near_settings = answer[0]["recipe_json"]["duplicates"]
    assert (near_settings["scope"], near_settings["n_shards"]) == ("shards", 4)
    assert main(["signatures", "--dump", A, *common, "--bands", "14by8"]) == 2
    assert "--bands '14by8'" in capsys.readouterr().err
    assert main(["lsh", "--bands", "20x13", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["n_permutations"] == 260
    assert answer["p_candidate"]["0.80"] == pytest.approx(1 - (1 - 0.8**13) ** 20)
    assert main(["lsh", "--similarity", "0.8", "--permutations", "128", "--plot", str(tmp_path / "curve.png")]) == 0
    assert "0.8" in capsys.readouterr().out
    assert (tmp_path / "curve.png").stat().st_size > 1000
