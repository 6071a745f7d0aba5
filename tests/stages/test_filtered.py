"""`filtered`: the first bound broken is the reason, in the recipe's order."""

import pytest

from dclm_spark import schemas
from dclm_spark.errors import RecipeError
from dclm_spark.recipe.bounds import Bound
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.explain import judge
from dclm_spark.spark.types import spark_schema
from dclm_spark.stages.filtered import filter_documents

SOUND = {
    "urls": ("example.org", "example.org", None, None, None, None, 0),
    "language": ("en", 0.9, 0.9),
    "quality": (100, 100, 600, 0, 10, 4.5, 0.0, 0.0, 0.0, 0.0, 9),
    "repetition": (100, *[0.0] * 13),
    "lines": (0, 0, 0.0),
}


def _document(doc_id, **changes):
    """A row of `annotated` that breaks nothing, but for the signals named `group__name`."""
    groups = {
        name: dict(zip((f.name for f in schemas.SIGNAL_GROUPS[name]), SOUND[name], strict=True)) for name in SOUND
    }
    for signal, value in changes.items():
        group, name = signal.split("__")
        groups[group][name] = value
    signals = (tuple(groups[name].values()) if name in groups else None for name in schemas.SIGNAL_GROUPS)
    return (doc_id, "D", "http://example.org/", *signals, "text")


# (changed signals, reason, value): one row a rule, on both sides of its bound.
CASES = [
    ({}, None, None),
    ({"urls__n_strict_words": 0, "urls__n_hard_words": 0, "urls__n_soft_words": 1}, None, None),
    ({"urls__n_strict_words": 1}, "urls.n_strict_words", 1.0),
    ({"urls__n_soft_words": 2}, "urls.n_soft_words", 2.0),
    ({"language__p_target": 0.65}, "language.p_target", 0.65),
    ({"language__p_target": 0.66}, None, None),
    ({"quality__n_words": 49}, "quality.n_words", 49.0),
    ({"quality__n_words": 100_000}, None, None),
    ({"quality__n_words": 100_001}, "quality.n_words", 100_001.0),
    ({"quality__mean_word_chars": 2.99}, "quality.mean_word_chars", 2.99),
    ({"quality__mean_word_chars": None}, None, None),
    ({"quality__symbols_per_word": float("inf")}, "quality.symbols_per_word", float("inf")),
    ({"quality__n_stop_words": 1}, "quality.n_stop_words", 1.0),
    ({"repetition__frac_duplicate_lines": 0.31}, "repetition.frac_duplicate_lines", 0.31),
    ({"repetition__frac_top_4gram_chars": 0.16}, None, None),
    ({"repetition__frac_duplicate_10gram_chars": 1.2}, "repetition.frac_duplicate_10gram_chars", 1.2),
    ({"lines__frac_words_removed": 0.06}, "lines.frac_words_removed", 0.06),
    ({"quality__n_stop_words": 1, "quality__n_words": 3}, "quality.n_words", 3.0),
    ({"quality__n_words": 3, "language__p_target": 0.1}, "language.p_target", 0.1),
    ({"urls__n_banned_domains": 0}, None, None),
    ({"urls__n_banned_domains": 1, "urls__n_strict_words": 1}, "urls.n_banned_domains", 1.0),
]


@pytest.fixture(scope="module")
def flagged(spark):
    rows = [_document(str(i), **changes) for i, (changes, *_) in enumerate(CASES)]
    annotated = spark.createDataFrame(rows, spark_schema(schemas.ANNOTATED))
    return {int(row["doc_id"]): row for row in filter_documents(annotated, recipe=DCLM_BASELINE).collect()}


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_first_broken_bound_is_the_reason(flagged, case):
    _, reason, value = CASES[case]
    assert (flagged[case]["removed_by"], flagged[case]["value"]) == (reason, value)
    assert (flagged[case]["detail"] is None) == (reason is None)


def test_the_bound_is_told_in_words(flagged):
    assert flagged[4]["detail"] == "> 0.65"
    assert flagged[6]["detail"] == ">= 50 and <= 100000"


def test_spark_and_the_recipe_decide_alike(flagged):
    for case, (changes, *_) in enumerate(CASES):
        row = _document("x", **changes)
        values = dict(zip(schemas.ANNOTATED.names, row, strict=True))
        names = {group: [f.name for f in struct] for group, struct in schemas.SIGNAL_GROUPS.items()}
        broken = [
            bound.signal
            for bound in DCLM_BASELINE.bounds
            for group, name in [bound.signal.split(".")]
            if bound.breaks(values[group][names[group].index(name)])
        ]
        assert flagged[case]["removed_by"] == (broken[0] if broken else None)


NOTHING = {
    "quality__n_words": 0,
    "quality__n_words_split": 0,
    "quality__n_stop_words": 0,
    "language__code": None,
    "language__p_target": 0.0,
}


def test_nothing_extracted_is_a_reason_of_its_own(spark):
    rows = [
        _document("nothing", **NOTHING),
        _document("banned", **NOTHING, urls__n_strict_words=1),
        _document("short", quality__n_words=1, quality__n_words_split=1),
    ]
    annotated = spark.createDataFrame(rows, spark_schema(schemas.ANNOTATED))

    def removed(recipe):
        flagged = filter_documents(annotated, recipe=recipe).collect()
        return {row["doc_id"]: (row["removed_by"], row["value"], row["detail"]) for row in flagged}

    found = removed(DCLM_BASELINE)
    assert found["nothing"] == ("no_text", None, "nothing was extracted")
    assert found["banned"][0] == "urls.n_strict_words"
    assert found["short"] == ("quality.n_words", 1.0, ">= 50 and <= 100000")
    for row in annotated.collect():
        assert judge(row.asDict(recursive=True), DCLM_BASELINE)["removed_by"] == found[row["doc_id"]][0]
    # It removes no document that the recipe's own bounds would keep.
    assert removed(Recipe("urls", bounds=(Bound("urls.n_soft_words", at_most=1),)))["nothing"] == (None, None, None)


def test_a_bound_of_one_language_speaks_of_its_pages_alone(spark):
    rows = [
        _document("english", language__code="en", quality__n_words=60),
        _document("german", language__code="de", quality__n_words=60),
        _document("none", language__code=None, quality__n_words=60),
    ]
    annotated = spark.createDataFrame(rows, spark_schema(schemas.ANNOTATED))
    bounds = (
        Bound("quality.n_words", at_least=70, language="de"),
        Bound("quality.n_words", at_least=50, language="en"),
    )
    flagged = filter_documents(annotated, recipe=Recipe("two", bounds=bounds)).collect()
    assert {row["doc_id"]: row["detail"] for row in flagged} == {"english": None, "german": ">= 70 (de)", "none": None}


def test_a_recipe_without_bounds_keeps_all(spark):
    annotated = spark.createDataFrame([_document("a", quality__n_words=0)], spark_schema(schemas.ANNOTATED))
    assert filter_documents(annotated, recipe=Recipe("all")).where("removed_by IS NULL").count() == 1


def test_columns_are_those_of_the_tables(spark):
    annotated = spark.createDataFrame([_document("a")], spark_schema(schemas.ANNOTATED))
    flagged = filter_documents(annotated, recipe=Recipe("one", bounds=(Bound("quality.n_words", at_least=1),)))
    assert set(schemas.FILTERED.names) < set(flagged.columns)
    assert {"removed_by", "value", "detail"} < set(flagged.columns)


def test_a_bound_on_what_was_not_measured_is_an_error_not_a_rule_that_keeps_all(spark):
    annotated = spark.createDataFrame([_document("a")], spark_schema(schemas.ANNOTATED))
    for bound in (Bound("gopher.n_tokens", at_least=50), Bound("c4.n_sentences", at_least=5)):
        flagged = filter_documents(annotated, recipe=Recipe("other", bounds=(bound,)))
        with pytest.raises(Exception, match=f"the signals of '{bound.group}' were not measured"):
            flagged.where("removed_by IS NULL").count()


def test_a_recipe_with_problems_is_refused(spark):
    annotated = spark.createDataFrame([_document("a")], spark_schema(schemas.ANNOTATED))
    with pytest.raises(RecipeError, match="unknown signal 'quality.words'"):
        filter_documents(annotated, recipe=Recipe("wrong", bounds=(Bound("quality.words", at_least=1),)))
