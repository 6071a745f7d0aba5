"""DCLM's configurations as recipes: the baseline is the faithful recipe, and what has no counterpart is named."""

from dataclasses import replace

import pytest

from dclm_spark.cli.recipe_files import load_recipe
from dclm_spark.errors import InputError, RecipeError
from dclm_spark.recipe.as_json import canonical_json, from_json
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL, REFINEDWEB_FAITHFUL

# The steps of baselines_configs/dclm_baseline_refinedweb.yaml.
BASELINE = """
- source: cc
  steps:
    - {func: move_url_modifier}
    - {func: url_substring_filter, banlist_from_fname: lists/domains.txt, exact_domain_match: True, ignore_chars: [www]}
    - {func: url_substring_filter, banlist_from_fname: lists/strict.txt, ignore_chars: ['-', '.']}
    - {func: url_substring_filter, banlist: [hard, harder], match_substrings: False}
    - {func: url_substring_filter, banlist_from_fname: lists/soft.txt, num_banned_substrs: 2, match_substrings: False}
    - {func: url_removal_modifier}
    - {func: newline_removal_modifier, max_consecutive: 2}
    - {func: detect_lang_whole_page_enricher, model: fasttext, key_prefix: language_id_whole_page}
    - {func: language_filter, key: language_id_whole_page_fasttext, keep_languages: [en], threshold: 0.65}
    - {func: page_length_filter, length_type: word, min_length: 50, max_length: 100000, ignore_punctuation: True}
    - {func: word_length_filter, min_length: 3, max_length: 10}
    - {func: symbol_ratio_filter, max_symbol_to_word_ratio: 0.1}
    - {func: bullet_count_filter, max_bullet_start_ratio: 0.9}
    - {func: ellipsis_count_filter, max_ellipsis_end_ratio: 0.3}
    - {func: alphabetic_word_ratio_filter, max_ratio: 0.2}
    - {func: stop_word_filter, count_unique: False, min_stop_word: 2}
    - {func: massive_web_repetition_filters}
    - {func: word_counter_enricher, key: previous_word_count}
    - {func: uppercase_ratio_line_modifier, max_ratio: 0.5}
    - {func: numeric_ratio_line_modifier, max_ratio: 0.999999}
    - {func: counter_line_modifier}
    - {func: line_length_modifier, min_length: 2}
    - {func: substring_line_modifier, max_length: 10, banlist: items in cart, remove_substring_only: True}
    - func: substring_line_modifier
      max_length: 10
      banlist: Read more...
      location: suffix
      remove_substring_only: True
    - {func: substring_line_modifier, max_length: 10, banlist: Sign-in, location: prefix, remove_substring_only: True}
    - {func: word_removal_ratio_filter, prev_word_count_key: previous_word_count, max_removed_ratio: 0.05}
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like DCLM's: lists are named from its top, configurations lie below."""
    lists, configs = tmp_path / "lists", tmp_path / "baselines" / "configs"
    lists.mkdir()
    configs.mkdir(parents=True)
    (lists / "domains.txt").write_text("example.com\nexample.org\n")
    (lists / "strict.txt").write_text("strict\n\nstricter\n")
    (lists / "soft.txt").write_text("soft\n")

    def write(text: str):
        path = configs / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_dclms_baseline_is_the_faithful_recipe(checkout):
    recipe = load_recipe(checkout(BASELINE))
    listed = recipe.annotation.banned_domains
    assert (recipe.name, listed.n_domains) == ("mine", 2)
    assert not recipe.problems()
    lists = {"strict_words": ("strict", "stricter"), "hard_words": ("hard", "harder"), "soft_words": ("soft",)}
    annotation = replace(DCLM_BASELINE_FAITHFUL.annotation, banned_domains=listed, **lists)
    # DCLM deduplicates by another program, of which its configurations say nothing.
    assert recipe == replace(DCLM_BASELINE_FAITHFUL, name="mine", annotation=annotation, deduplication=())


def test_dclms_refinedweb_is_the_faithful_recipe(checkout):
    first, *steps = BASELINE.split("    - ")[1:]
    domains = ", ".join(REFINEDWEB_FAITHFUL.annotation.excluded_domains)
    inline = f"{{func: url_substring_filter, banlist: [{domains}], exact_domain_match: True, ignore_chars: [www]}}\n"
    text = "    - ".join(["\n- source: cc\n  steps:\n", first, steps[0], inline, *steps[1:]])
    recipe = load_recipe(checkout(text))
    assert recipe.bounds == REFINEDWEB_FAITHFUL.bounds
    assert recipe.annotation.excluded_domains == REFINEDWEB_FAITHFUL.annotation.excluded_domains


# The steps of baselines_configs/c4.yaml, and what is said of each that no recipe can express.
C4 = (
    ("move_url_modifier", None),
    ("key_name_modifier", None),
    ("page_length_filter, length_type: char, max_length: 190000", None),
    ("word_length_modifier, max_length: 1000, model: split", None),
    ("citation_removal_modifier", None),
    ("punctuation_line_modifier, remove_ellipses: True", None),
    ("line_length_modifier, min_length: 5", None),
    ("substring_filter, banlist: ['lorem ipsum']", "no signal says which pages hold a phrase"),
    ("substring_line_modifier, banlist: [javascript]", None),
    ("substring_filter, banlist: ['{']", "no signal says which pages hold a phrase"),
    ("substring_line_modifier, banlist: [terms of use, privacy policy]", None),
    (
        "page_length_filter, length_type: sentence, min_length: 3, tokenizer: nltk, tokenizer_lang: english",
        "'sentence'",
    ),
    (r'split_lines_modifier, delimiter: "\n"', "no counterpart"),
    ("exact_dedup, content_key: url, normalize: normalize_url", "no counterpart"),
    (r'join_lines_modifier, delimiter: "\n"', "no counterpart"),
    ("within_page_dedup, granularity: line, normalize: True", "no counterpart"),
    ("substring_filter, banlist_from_fname: lists/ldnoobw.txt, exact_word: True", "no signal says"),
    ("detect_lang_whole_page_enricher, model: langdetect, seed: 0", "'langdetect'"),
    (
        "language_filter, key: language_id_whole_page_langdetect, keep_languages: [en], threshold: 0.99",
        "after corrections",
    ),
)


def configuration(steps) -> str:
    lines = "\n".join(f"    - {{func: {step}}}" for step, _ in steps)
    return f"- source: cc\n  steps:\n{lines}\n"


def test_the_line_rules_of_c4(checkout):
    recipe = load_recipe(checkout(configuration([step for step in C4 if step[1] is None])))
    assert not recipe.problems()
    assert [str(rule) for rule in recipe.annotation.line_rules] == [
        *("longest_word_chars <= 1000", "citations", "has_end_mark >= 1", "has_end_ellipsis <= 0", "n_words >= 5"),
        *("'javascript'", "'terms of use'", "'privacy policy'"),
    ]
    assert from_json(canonical_json(recipe)) == recipe


STRANGE = (
    ("within_page_dedup", "no counterpart"),
    ("symbol_ratio_filter, max_ratio: 0.1", "unknown options max_ratio"),
    ("page_length_filter, length_type: sentence", "'sentence'"),
    ("stop_word_filter, count_unique: True", "count_unique is True"),
    ("url_substring_filter, banlist: [x]", "ignore_chars"),
    ("substring_line_modifier, banlist: ['a|b']", "regular expression"),
    ("substring_line_modifier, banlist: [a, b], remove_substring_only: True", "more than one phrase"),
    ("word_length_modifier", "model is 'fasttext'"),
    ("substring_line_modifier, banlist: javascript", None),
    ("bullet_count_filter", "after corrections of lines"),
)


@pytest.mark.parametrize("steps", [STRANGE, C4], ids=["strange", "c4"])
def test_every_step_without_a_counterpart_is_named(checkout, steps):
    with pytest.raises(RecipeError) as error:
        load_recipe(checkout(configuration(steps)))
    expected = [(number, step, said) for number, (step, said) in enumerate(steps, 1) if said]
    assert len(error.value.problems) == len(expected)
    for problem, (number, step, said) in zip(error.value.problems, expected, strict=True):
        assert problem.startswith(f"step {number}, {step.split(',')[0]}: ") and said in problem


@pytest.mark.parametrize(
    "text", ["", "a: [", "- source: cc", "- {source: a, steps: []}\n- {source: b, steps: []}", "x"]
)
def test_what_is_no_configuration(checkout, text):
    with pytest.raises(RecipeError):
        load_recipe(checkout(text))


BOMB = "\n".join(
    f"  o{level + 1}: &a{level + 1} [{', '.join([f'*a{level}'] * 10)}]" if level else "  o1: &a1 [x, x]"
    for level in range(9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 10_000, "nested more than 20 levels"),
        ("{a: " * 10_000, "nested more than 20 levels"),
        ("- " * 10_000 + "x", "nested more than 20 levels"),
        (
            f"- source: x\n{BOMB}\n  steps:\n  - func: citation_removal_modifier\n    banlist: *a9",
            "more than 1,000,000",
        ),
        ("- &s\n  source: x\n  steps: [{func: a, b: *s}]", "alias 's'"),
        ("- source: x\n  steps: [{func: [a, b]}]", "each with a `func`"),
        ("- source: x\n  steps: [{func: {a: b}}]", "each with a `func`"),
        ("- source: x\n  steps: [{func: stop_word_filter, min_stop_word: [2]}]", r"bounds\[0\].at_least is \[2\]"),
        ("- source: x\n  steps: [{func: stop_word_filter, min_stop_word: 2020-01-01}]", "neither a text"),
        ("- source: x\n  steps: [{func: stop_word_filter, min_stop_word: 2020-13-41}]", "no YAML"),
        ("- source: x\n  steps: [{func: stop_word_filter, min_stop_word: .nan}]", "at_least is nan"),
        ("- source: x\n  steps: [{func: stop_word_filter, min_stop_word: " + "9" * 5_000 + "}]", "no YAML"),
        ("- source: x\n  steps: [{func: stop_word_filter, 1: 2, null: 3}]", "unknown options 1, None"),
        ("- source: x\n  steps: [{func: url_substring_filter, ignore_chars: 5}]", "step 1, .*wrong kind"),
        ("- source: x\n  steps: [{func: language_filter, keep_languages: 7}]", "step 1, .*wrong kind"),
        ('- source: x\n  steps: [{func: language_filter, keep_languages: ["\\ud800"]}]', "half a character"),
        (
            "- source: x\n  steps: [{func: substring_line_modifier, location: [any], banlist: x}]",
            "step 1, .*wrong kind",
        ),
        ("!!python/object/apply:os.system [true]", "no YAML"),
    ],
)
def test_hostile_configurations_are_one_clear_error(checkout, text, words):
    with pytest.raises(RecipeError, match=words) as raised:
        load_recipe(checkout(text))
    assert len(str(raised.value)) < 500


def test_a_missing_list_is_named(checkout):
    step = "{func: url_substring_filter, banlist_from_fname: no.txt, match_substrings: False}"
    text = f"- source: cc\n  steps:\n    - {step}"
    with pytest.raises(InputError, match="no word list no.txt"):
        load_recipe(checkout(text))
