"""Recipes: what is refused, and what makes two recipes the same."""

import dataclasses

import pytest

from dclm_spark import schemas
from dclm_spark.cli.recipe_files import load_recipe
from dclm_spark.errors import RecipeError
from dclm_spark.kernels.fasttext.identify import model_fingerprint
from dclm_spark.lake.runs import is_made_by, part_hash
from dclm_spark.recipe import builtin
from dclm_spark.recipe.as_json import canonical_json, from_json, recipe_hash
from dclm_spark.recipe.bounds import Bound
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.extraction import Extraction
from dclm_spark.recipe.recipe import Recipe


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound("quality.n_wrods", at_least=1), "unknown signal 'quality.n_wrods'"),
        (Bound("language.code", at_least=1), "unknown signal"),
        (Bound("quality.n_words", at_least=100, at_most=50), "cross"),
        (Bound("quality.n_words", above=50, at_most=50), "cross"),
        (Bound("quality.n_words"), "limits nothing"),
        (Bound("quality.n_words", at_least=float("nan")), "not a number"),
    ],
)
def test_bounds_that_cannot_be_meant_are_named(bound, words):
    assert words in " ".join(bound.problems())


def test_a_bound_may_allow_one_value():
    assert Bound("quality.n_words", at_least=50, at_most=50).problems() == []


@pytest.mark.parametrize(
    ("bound", "breaking", "kept"),
    [
        (Bound("quality.n_words", at_least=50), 49, 50),
        (Bound("language.p_target", above=0.65), 0.65, 0.650001),
        (Bound("quality.n_words", at_most=9), 10, 9),
        (Bound("quality.n_words", below=9), 9, 8),
    ],
)
def test_open_and_closed_limits(bound, breaking, kept):
    assert bound.breaks(breaking)
    assert not bound.breaks(kept)
    assert not bound.breaks(None)


@pytest.mark.parametrize("name", ["dclm_baseline", "refinedweb", "gopher", "c4", "fineweb", "fineweb2"])
def test_each_published_recipe_has_its_twin(name):
    recipe, twin = builtin.RECIPES[name], builtin.RECIPES[f"{name}_faithful"]
    # The twins differ in how things are read, never in the rules and their limits.
    assert twin.bounds == recipe.bounds and twin != dataclasses.replace(recipe, name=twin.name)


def test_a_recipe_measures_what_its_bounds_need():
    recipe = Recipe("mine", bounds=(Bound("fineweb.frac_short_lines", at_most=0.5),))
    assert recipe.groups == ("urls", "fineweb")
    of_german = dataclasses.replace(recipe, bounds=(Bound("quality.n_words", at_least=5, language="de"),))
    assert of_german.groups == ("urls", "language", "quality")
    assert dataclasses.replace(recipe, all_signals=True).groups == tuple(schemas.SIGNAL_GROUPS)
    assert DCLM_BASELINE.groups == ("urls", "language", "quality", "repetition", "lines")


def test_rows_are_a_recipes_if_they_hold_all_that_it_measures():
    few = Recipe("few", bounds=(Bound("quality.n_words", at_least=5),))
    more = dataclasses.replace(few, bounds=(*few.bounds, Bound("repetition.n_words", at_least=5)))

    def run_of(recipe):
        return {
            "stage": "annotated",
            "part_hash": part_hash(recipe, "annotated"),
            "recipe_json": canonical_json(recipe),
        }

    assert is_made_by(run_of(more), few)
    assert not is_made_by(run_of(few), more)
    assert is_made_by(run_of(dataclasses.replace(few, all_signals=True)), more)
    other = dataclasses.replace(few, annotation=dataclasses.replace(few.annotation, newline=" "))
    assert not is_made_by(run_of(more), other)


def test_a_model_is_recorded_by_its_hash_and_compared_without_being_read(tmp_path):
    model = tmp_path / "mine.bin"
    model.write_bytes(b"model")
    recipe = load_recipe("dclm_baseline", language_model=str(model))
    assert recipe.annotation.language_model_hash == model_fingerprint(str(model))
    unresolved = dataclasses.replace(recipe.annotation, language_model_hash=None)
    before = part_hash(dataclasses.replace(recipe, annotation=unresolved), "annotated")
    model.unlink()
    assert part_hash(recipe, "annotated") == before
    assert from_json(canonical_json(recipe)) == recipe
    # The bundled model is the package's own, so that recipes that name no other keep their hashes.
    assert load_recipe("dclm_baseline").annotation.language_model_hash is None


def test_all_problems_are_listed_at_once():
    recipe = Recipe(
        "mine",
        extraction=Extraction(charset="utf8", max_page_bytes=0),
        bounds=(Bound("a.b", at_least=1),),
        max_fault_share=2,
    )
    assert len(recipe.problems()) == 4


def test_one_bound_changes_and_the_others_stay():
    longer = DCLM_BASELINE.with_bound("quality.n_words", at_least=200)
    assert [bound.signal for bound in longer.bounds] == [bound.signal for bound in DCLM_BASELINE.bounds]
    changed = [(str(old), str(new)) for old, new in zip(DCLM_BASELINE.bounds, longer.bounds, strict=True) if old != new]
    assert changed == [(">= 50 and <= 100000", ">= 200 and <= 100000")]
    assert str(DCLM_BASELINE.with_bound("language.p_target", at_least=0.5).bounds[4]) == ">= 0.5"
    more = DCLM_BASELINE.with_bound("gopher.n_tokens", at_least=5)
    assert more.bounds == (*DCLM_BASELINE.bounds, Bound("gopher.n_tokens", at_least=5)) and "gopher" in more.groups


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": "quality.words", "at_least": 3}, "unknown signal 'quality.words'"),
        ({"signal": "quality.n_words"}, "give at_least, above, at_most or below"),
        ({"signal": "quality.n_words", "at_least": 100_001}, "no page could pass"),
        ({"signal": "quality.n_words", "at_least": 5, "language": "de"}, "not 'de'"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused(change, words):
    with pytest.raises(RecipeError, match=words):
        DCLM_BASELINE.with_bound(**change)


def test_rules_without_their_lists_are_not_measured():
    urls = tuple(bound.signal for bound in DCLM_BASELINE.bounds if bound.group == "urls")
    assert DCLM_BASELINE.unmeasured == urls
    with_words = dataclasses.replace(DCLM_BASELINE.annotation, strict_words=(), hard_words=("x",))
    assert dataclasses.replace(DCLM_BASELINE, annotation=with_words).unmeasured == (urls[0], urls[3])


def test_the_hash_follows_the_choices_not_their_spelling():
    same = dataclasses.replace(DCLM_BASELINE, bounds=list(DCLM_BASELINE.bounds))
    assert recipe_hash(same) == recipe_hash(DCLM_BASELINE)
    assert recipe_hash(Bound("quality.n_words", at_least=50)) == recipe_hash(Bound("quality.n_words", at_least=50.0))
    other = dataclasses.replace(DCLM_BASELINE, bounds=DCLM_BASELINE.bounds[1:])
    assert recipe_hash(other) != recipe_hash(DCLM_BASELINE)
    assert recipe_hash(other.extraction) == recipe_hash(DCLM_BASELINE.extraction)


def test_a_field_of_a_later_version_leaves_the_hash_of_older_recipes():
    @dataclasses.dataclass(frozen=True)
    class Part:
        old: int = 1
        new: int = dataclasses.field(default=2, metadata={"added": "0.2.0"})

    assert canonical_json(Part()) == '{"old": 1}'
    assert canonical_json(Part(new=3)) == '{"new": 3, "old": 1}'
    assert canonical_json(Part(), is_whole=True) == '{"new": 2, "old": 1}'


def test_a_recipe_file_may_leave_out_what_is_default():
    recipe = from_json('{"name": "short", "bounds": [{"signal": "quality.n_words", "at_least": 10}]}')
    assert recipe.extraction == Extraction()
    assert recipe.bounds == (Bound("quality.n_words", at_least=10),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("", "no JSON"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "x", "max_fault_share": ' + "9" * 5_000 + "}", "thousands of digits"),
        ('{"name": "x", "name": "y"}', "'name' twice"),
        ('{"name": "x", "extraction": {"options": {"main_content": {"a": 1}}}}', r"options\['main_content'\] is"),
        ('{"name": "x", "annotation": {"stop_words_of": {"de": 5}}}', "expected a list"),
        ('{"name": "x", "annotation": {"stop_words": ["a", ["b"]]}}', r"stop_words\[1\] is \['b'\]"),
        ('{"name": ["x"]}', r"recipe.name is \['x'\]"),
        ("[]", "expected an object"),
        ('{"name": "x", "bounds": [{"signal": "a.b", "min": 1}]}', "unknown field 'min'"),
        ('{"extraction": {"extractr": "x"}}', "unknown field 'extractr'"),
        ("{}", "lacks the field 'name'"),
        ('{"name": "x", "bounds": 3}', "bounds"),
        ('{"name": "x", "bounds": [{"signal": "quality.n_words", "at_least": "many"}]}', "at_least"),
    ],
)
def test_a_wrong_recipe_file_is_one_clear_error(text, words):
    with pytest.raises(RecipeError, match=words):
        from_json(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "\\ud800"}', "half a character"),
        ('{"name": "x", "extraction": {"options": {"\\udfff": 1}}}', "half a character"),
        ('{"name": "x", "annotation": {"hard_words": ["ok", "a\\ud83d"]}}', r"hard_words\[1\] is"),
        ('{"name": "x", "max_fault_share": NaN}', "max_fault_share is nan"),
        ('{"name": "x", "bounds": [{"signal": "quality.n_words", "at_most": 1e999}]}', "at_most is inf"),
        ('{"name": "x", "bounds": [{"signal": "quality.n_words", "at_most": -Infinity}]}', "at_most is -inf"),
        ('{"name": "x", "extraction": {"max_page_bytes": 1' + "0" * 400 + "}}", "1,329 bits"),
        ('{"name": "x", "annotation": {"max_newlines": -9223372036854775809}}', "64 bits"),
    ],
)
def test_a_value_that_no_recipe_can_hold_is_one_clear_error(tmp_path, text, words):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(RecipeError, match=words) as raised:
        load_recipe(str(tmp_path / "mine.json"))
    assert len(raised.value.problems) == 1 and len(str(raised.value)) < 300


def test_a_name_that_speaks_to_a_terminal_is_a_problem():
    assert "control characters" in Recipe("\x1b[31mred").problems()[0]
    assert "\x1b" not in Recipe("\x1b[31mred").problems()[0]


def test_json_keeps_every_choice():
    recipe = builtin.DCLM_BASELINE_FAITHFUL
    assert from_json(canonical_json(recipe)) == recipe
