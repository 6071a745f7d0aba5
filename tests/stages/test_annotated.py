"""`annotated`: every signal of every document, whatever the partitioning."""

import dataclasses

import pytest

from dclm_spark import schemas
from dclm_spark.recipe.builtin import DCLM_BASELINE, DCLM_BASELINE_FAITHFUL
from dclm_spark.stages.annotated import annotate
from tests.support.archives import ENGLISH

TEXTS = {
    "english": ENGLISH * 2,
    "empty": "",
    "german": "Der Hafen der alten Stadt liegt westlich der Hügel, und die Straße ist älter als jede Erinnerung. " * 3,
    "japanese": "古い町の港は丘の西にあり、そこへ続く道は誰も覚えていないほど昔からある。" * 3,
    "with url": "Look at the page https://www.example.org/a/b?c=d for more of it, and have a look to the next one.",
    "newlines": "one\n\n\n\n\ntwo",
    "symbols": "# # # ... word",
    "menu": "HOME\nContact us\nThe harbour lies west of the hill.",
}


@pytest.fixture(scope="module")
def annotated(spark):
    rows = [(key, "D", f"http://www.{i}.example.co.uk:8080/x", text) for i, (key, text) in enumerate(TEXTS.items())]
    documents = spark.createDataFrame(rows, "doc_id STRING, dump STRING, url STRING, text STRING").repartition(3)
    return documents.transform(annotate, recipe=DCLM_BASELINE)


@pytest.fixture(scope="module")
def rows(annotated):
    return {row["doc_id"]: row.asDict(recursive=True) for row in annotated.collect()}


def test_the_schema_is_the_tables(annotated):
    assert annotated.columns == schemas.ANNOTATED.names


def test_groups_that_no_bound_needs_are_null(rows):
    assert all(row["quality"] is not None and row["lines"] is not None for row in rows.values())
    assert all(row["gopher"] is None and row["c4"] is None and row["fineweb"] is None for row in rows.values())


def test_stop_words_are_those_of_the_pages_language(spark):
    annotation = dataclasses.replace(
        DCLM_BASELINE.annotation, stop_words=("the",), stop_words_of={"de": ("der", "und"), "fr": ("et",)}
    )
    recipe = dataclasses.replace(DCLM_BASELINE, annotation=annotation)
    documents = spark.createDataFrame(
        [(key, "D", None, TEXTS[key]) for key in ("german", "english", "empty")],
        "doc_id STRING, dump STRING, url STRING, text STRING",
    )
    counted = {row["doc_id"]: row["quality"]["n_stop_words"] for row in annotate(documents, recipe=recipe).collect()}
    german, english = (TEXTS[key].lower().split() for key in ("german", "english"))
    assert counted == {
        "german": german.count("der") + german.count("und"),
        "english": english.count("the"),
        "empty": 0,
    }


def test_no_document_is_lost(rows):
    assert rows.keys() == TEXTS.keys()


def test_languages(rows):
    assert {key: rows[key]["language"]["code"] for key in ("english", "german", "japanese", "empty")} == {
        "english": "en",
        "german": "de",
        "japanese": "ja",
        "empty": None,
    }
    assert rows["english"]["language"]["p_target"] > 0.9
    assert rows["german"]["language"]["p_target"] == 0


def test_urls(rows):
    assert rows["empty"]["urls"] == {
        "host": "www.1.example.co.uk",
        "registered_domain": "example.co.uk",
        "n_banned_domains": None,
        "n_strict_words": None,
        "n_hard_words": None,
        "n_soft_words": None,
        "n_excluded_domains": 0,
    }


def test_the_text_is_corrected_before_it_is_measured(rows):
    assert "example.org" not in rows["with url"]["text"]
    assert rows["newlines"]["quality"]["n_chars"] == len("one\n\ntwo")


def test_lines_are_corrected_after_the_text_is_measured(rows):
    assert rows["menu"]["text"] == "Contact us\nThe harbour lies west of the hill."
    assert rows["menu"]["quality"]["n_lines"] == 3
    assert rows["menu"]["lines"] == {"n_lines_removed": 1, "n_lines_cut": 0, "frac_words_removed": 0.1}
    assert rows["newlines"]["lines"]["frac_words_removed"] == 1
    assert rows["newlines"]["text"] == ""


def test_counts(rows):
    quality = rows["symbols"]["quality"]
    assert (quality["n_words"], quality["n_words_split"], rows["symbols"]["repetition"]["n_words"]) == (1, 5, 1)
    assert quality["symbols_per_word"] == 4 / 5
    assert rows["english"]["quality"]["n_words"] == len(TEXTS["english"].split())
    assert rows["empty"]["quality"]["symbols_per_word"] == float("inf")


def test_partitioning_changes_nothing(spark, rows):
    data = [(key, "D", row["url"], TEXTS[key]) for key, row in rows.items()]
    documents = spark.createDataFrame(data, "doc_id STRING, dump STRING, url STRING, text STRING")
    again = documents.coalesce(1).transform(annotate, recipe=DCLM_BASELINE).collect()
    assert {row["doc_id"]: row.asDict(recursive=True) for row in again} == rows


def test_the_faithful_recipe_keeps_the_originals_mistake(spark):
    text = "看 https://www.example.org/ and so on"
    documents = spark.createDataFrame([("a", "D", None, text)], "doc_id STRING, dump STRING, url STRING, text STRING")
    faithful = documents.transform(annotate, recipe=DCLM_BASELINE_FAITHFUL).head()["text"]
    fixed = documents.transform(annotate, recipe=DCLM_BASELINE).head()["text"]
    assert (faithful, "example" in fixed) == (text, False)
