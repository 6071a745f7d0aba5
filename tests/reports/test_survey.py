"""The survey of methods and scopes: what each leaves, against counting by hand, and what it makes and leaves alone."""

import datetime as dt
import json
from pathlib import Path

import pytest

from dclm_spark import schemas
from dclm_spark.cli import dedup as dedup_command
from dclm_spark.cli import main
from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.lake.runs import last_runs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.survey import survey
from dclm_spark.reports.survey_choices import Choice, default_choices
from dclm_spark.reports.survey_plot import plot_survey
from dclm_spark.reports.survey_words import format_survey
from dclm_spark.spark.rows import frame_of
from tests.support import dedup
from tests.support.tables import version

pytestmark = [pytest.mark.slow, pytest.mark.once]

RECIPE = Recipe("tested")
FOX = "the quick brown fox jumps over the lazy dog today"
FIRST = f"{FOX}\nalpha beta"
TEXTS = {
    "A": [FIRST, f"{FOX}\ngamma\u00a0delta \u3000epsilon", FIRST],
    "B": [FIRST, "nobody else ever wrote these few words, not even once", ""],
}
ALL = {"A": [12, 13, 12], "B": [12, 10, 0]}
"""The words of the texts."""
BY_NAME = {choice.name: choice for choice in default_choices(RECIPE)}
CHOICES = (
    BY_NAME["text-dump"],
    BY_NAME["text-all"],
    Choice("bloom-all", "bloom", "all", (Bloom(mode="paragraph", max_ngram=5, min_ngram=5, scope="all"),)),
)


def fill(lake: Warehouse) -> None:
    """`filtered` of both dumps, and `documents`: all of A of one host, fetched in March, but one in April."""
    rows = [row for dump, texts in TEXTS.items() for row in dedup.documents(texts, dump=dump)]
    rows = [row | {"host": "www.a.org" if row["dump"] == "A" else "b.org"} for row in rows]
    dedup.fill(lake, rows, recipe=RECIPE)
    lake.prepare("documents")
    fetched = {"A": dt.datetime(2026, 3, 5, 12), "B": dt.datetime(2026, 4, 5, 12)}
    for dump, at in fetched.items():
        run = Job(lake, dump, RECIPE).run("documents")
        found = [
            (row["doc_id"], dump, None, at, 200, "text/html", "utf-8", 9, "a.warc", 0, None, row["text"], None)
            for row in rows
            if row["dump"] == dump
        ]
        frame = frame_of(lake.spark, found, schemas.DOCUMENTS)
        lake.replace(frame, "documents", lineage=run.lineage, dump=dump)
        run.record(n_rows_in=len(found), n_rows_out=len(found))


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Warehouse:
    made = Warehouse(spark, str(tmp_path_factory.mktemp("survey") / "lake"))
    fill(made)
    return made


@pytest.fixture(scope="module")
def entries(lake) -> list[dict]:
    return survey(Job(lake, "A", RECIPE, is_quiet=True), ["A", "B"], CHOICES)


def test_what_is_left_by_hand(entries):
    assert [entry["choice"] for entry in entries] == ["none", "text-dump", "text-all", "bloom-all"]
    found = {entry["choice"]: [entry["documents"], entry["words"], entry["bytes"]] for entry in entries}
    n_first, n_fox = len(FIRST.encode()), len(FOX.encode()) + 1  # with its newline
    n_all = sum(len(text.encode()) for texts in TEXTS.values() for text in texts)
    assert found["none"] == [6, 59, n_all]
    assert found["text-dump"] == [5, 47, n_all - n_first]
    assert found["text-all"] == [4, 35, n_all - 2 * n_first]
    # Of four texts that begin with it one keeps the fox; what is left of them has fewer words than an n-gram.
    assert found["bloom-all"] == [6, 29, n_all - 3 * n_fox]
    assert entries[1]["share_of_words"] == 47 / 59
    assert entries[1]["share_of_documents"] == 5 / 6
    assert [entry["reach"] for entry in entries] == [0, 0.5, 1, 1]  # two dumps of three documents


def test_breakdowns_by_hand(entries):
    by = {entry["choice"]: entry["by"] for entry in entries}
    assert {of: list(values) for of, values in by["none"].items()} == {
        "dump": ["A", "B"],
        "domain": ["a.org", "b.org"],
        "length": ["0", "8-15"],
        "age": ["2026-03", "2026-04"],
    }
    words = {name: {value: numbers["words"] for value, numbers in of["dump"].items()} for name, of in by.items()}
    assert words["none"] == {"A": 37, "B": 22}
    assert words["text-dump"] == {"A": 25, "B": 22}
    assert words["text-all"] == {"A": 25, "B": 10}
    assert words["bloom-all"] == {"A": 17, "B": 12}  # dumps come in the order of their names
    for of in by.values():
        assert list(of["dump"].values()) == list(of["domain"].values()) == list(of["age"].values())
    # A document is as long as it was before its paragraphs were cut, and a share of no words is none.
    assert by["bloom-all"]["length"]["8-15"]["documents"] == 5
    assert by["bloom-all"]["length"]["0"]["share_of_words"] is None


def test_again_makes_nothing_and_the_lake_is_left_alone(lake, entries):
    folder = Path(lake.location)
    tables = sorted(path.name for path in folder.iterdir())
    assert tables == ["documents", "filtered", "runs", "survey"]
    before = {path.parent: version(path.parent.parent, path.parent.name) for path in folder.rglob("_delta_log")}
    again = survey(Job(lake, "A", RECIPE, is_quiet=True), ["A", "B"], CHOICES)
    assert {path.parent: version(path.parent.parent, path.parent.name) for path in folder.rglob("_delta_log")} == before
    assert [entry.pop("is_new") for entry in again] == [False] * 4
    made = [dict(entry) for entry in entries]
    assert [entry.pop("is_new") for entry in made] == [False] + [True] * 3
    assert again == made


def test_other_settings_take_the_place_of_those_before(lake, entries):
    other = Choice("text-all", "text", "all", (Exact(scope="all", normalization="lower"),))
    found = survey(Job(lake, "A", RECIPE, is_quiet=True), ["A", "B"], [other])
    assert [(entry["choice"], entry["is_new"], entry["words"]) for entry in found] == [
        ("none", False, 59),
        ("text-all", True, 35),
    ]


def test_signatures_are_borrowed_from_one_warehouse(spark, tmp_path):
    lake = Warehouse(spark, str(tmp_path / "lake"))
    fill(lake)
    near = BY_NAME["near-all"]
    job = Job(lake, "A", RECIPE, is_quiet=True)
    signed = Job(lake, "A", near.recipe(RECIPE), is_quiet=True)
    make_signatures(signed)
    # Those of B are missing: lent by two, the signatures could not be compared.
    survey(job, ["A", "B"], [near], scratch=str(tmp_path / "one"))
    assert {dump for dump, _ in last_runs(Warehouse(spark, str(tmp_path / "one" / "signatures")))} == {"A", "B"}
    make_signatures(Job(lake, "B", near.recipe(RECIPE), is_quiet=True))
    found = survey(job, ["A", "B"], [near], scratch=str(tmp_path / "two"))
    assert found[1]["words"] == 35
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["near-all"]


def test_words_and_picture(entries, tmp_path):
    words = format_survey(entries)
    assert "text-all                         4   66.7%                35   59.3%" in words
    assert "words kept, by dump" in words
    assert "8-15" in format_survey(entries, by="length")
    bare = [{**entry, "by": {"dump": entry["by"]["dump"]}} for entry in entries]
    with pytest.raises(InputError, match="no table documents"):
        format_survey(bare, by="age")
    pytest.importorskip("matplotlib")
    for name in ("survey.svg", "survey.png", "again.png"):
        plot_survey(tmp_path / name, entries)
    assert (tmp_path / "survey.svg").read_bytes().startswith(b"<?xml")
    # In an SVG matplotlib names what clips by the address that it had in memory.
    pixels = (tmp_path / "survey.png").read_bytes()
    assert pixels.startswith(b"\x89PNG") and pixels == (tmp_path / "again.png").read_bytes()


def test_a_picture_without_matplotlib(entries, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'dclm-spark\[plot\]'"):
        plot_survey(tmp_path / "survey.svg", entries)


def test_what_cannot_be(spark, lake, tmp_path):
    job = Job(lake, "A", RECIPE, is_quiet=True)
    with pytest.raises(WarehouseError, match="no finished filtered of C in"):
        survey(job, ["A", "C"], [BY_NAME["text-all"]])
    with pytest.raises(InputError, match="the dump A is named twice"):
        survey(job, ["A", "A"], [BY_NAME["text-all"]])
    with pytest.raises(InputError, match="two choices are called text-all"):
        survey(job, ["A"], [BY_NAME["text-all"], BY_NAME["text-all"]])
    with pytest.raises(InputError, match=r"'\.\./lake' cannot name a choice"):
        survey(job, ["A"], [Choice("../lake", "text", "all")])
    with pytest.raises(RecipeError, match="wrong: .*fp_rate"):
        survey(job, ["A"], [Choice("wrong", "bloom", "all", (Bloom(fp_rate=2),))])
    with pytest.raises(InputError, match="--scratch FOLDER"):
        survey(Job(Warehouse(spark, "main.lake"), "A", RECIPE), ["A"])
    with pytest.raises(InputError, match="--scratch main.lake is a catalog's"):
        survey(job, ["A"], scratch="main.lake")
    other = Warehouse(spark, str(tmp_path / "other"))
    rows = dedup.documents(["a text"], dump="C")
    dedup.fill(other, rows, recipe=RECIPE)
    with pytest.raises(WarehouseError, match="lie in two warehouses"):
        survey(Job(other, "A", RECIPE, upstream=lake), ["A", "C"])


def test_choices_have_the_settings_of_the_recipe():
    bloom = Bloom(mode="both", scope="shards", n_shards=4, inserts="kept", capacity=9)
    recipe = Recipe("own", deduplication=(Exact(by="url", normalization="lower", scope="incremental"), bloom))
    choices = default_choices(recipe)
    assert all(choice.recipe(recipe).problems() == [] for choice in choices)
    methods = {choice.name: choice.methods for choice in choices}
    assert methods["url-all"] == (Exact(by="url", normalization="lower", scope="all"),)
    assert methods["bloom-shards"] == (Bloom(mode="both", scope="shards", n_shards=4, inserts="kept"),)
    # BFF's own modes read documents one after the other: a shard a dump, and one for all.
    assert methods["bloom-dump"] == (Bloom(mode="both", scope="shards", shard_by="dump", inserts="kept"),)
    assert methods["bloom-all"] == (Bloom(mode="both", scope="shards", n_shards=1, inserts="kept"),)
    assert {choice.name: choice.methods for choice in default_choices(RECIPE)}["bloom-shards"] == (
        Bloom(scope="shards", n_shards=10),
    )
    near = BY_NAME["near-shards"]
    assert (near.recipe(RECIPE).duplicates.scope, near.recipe(RECIPE).duplicates.n_shards) == ("shards", 10)
    assert near.reach([10, 10]) == 0.1


def test_command(lake, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dedup_command, "recipe_of", lambda arguments, **_: RECIPE)
    asked = ["dedup", "survey", "--dump", "A", "--warehouse", lake.location, "--quiet"]
    assert main.main([*asked, "--choices", "text-dump", "--scratch", str(tmp_path / "scratch"), "--json"]) == 0
    assert [entry["words"] for entry in json.loads(capsys.readouterr().out)] == [37, 25]
    assert main.main([*asked, "--choices", "nothing", "--by", "taste", "--scope", "all"]) == 2
    said = capsys.readouterr().err
    asked[asked.index(lake.location)] = str(tmp_path / "none")
    assert main.main([*asked, "--by", "age"]) == 2
    assert "--by age: no finished documents" in capsys.readouterr().err
    assert "--choices 'nothing'; expected some of: none, text-dump" in said
    assert "--by 'taste'" in said
    assert "--scope: a survey takes every scope" in said
