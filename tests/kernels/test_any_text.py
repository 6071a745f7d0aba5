"""All of `annotated`, and n-grams, on texts of any kind: nothing fails, rows know nothing of each other."""

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark import schemas
from dclm_spark.kernels.ngrams.ngrams import ngrams
from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.recipe.builtin import DCLM_BASELINE, FINEWEB, RECIPES
from dclm_spark.recipe.deduplication import Bloom

pytestmark = pytest.mark.busy

ANNOTATIONS = {
    "dclm": DCLM_BASELINE.annotation,
    "faithful": RECIPES["dclm_baseline_faithful"].annotation,
    "fineweb": dataclasses.replace(FINEWEB.annotation, bad_words=("bad", "very bad", "悪い")),
    "uax29": dataclasses.replace(RECIPES["fineweb2"].annotation, word_breaker="15.0"),
    "c4": RECIPES["c4_faithful"].annotation,
}
GROUPS = tuple(schemas.SIGNAL_GROUPS)

PIECES = st.sampled_from(
    [
        *("the ", "be", " and that", "\n", "\n\n", "\r\n", "\u2028", "\x85", "\x1c", "\0", "\ufffd", "\ufeff"),
        *(
            "e\u0301",
            "\u0345Σ",
            "İ",
            "ſ",
            "\u212a",
            "👨‍👩‍👧",
            "🇩🇪🇫🇷",
            "\U000e0061",
            "\u200d",
            "\u00ad",
            "क्ष",
            "การ",
            "漢字",
            "カタカナ",
        ),
        *("...", "…", ". . .", "#", "• ", "- ", "{", "lorem ipsum", "JavaScript", "[1]", "[edit]", "terms of use"),
        *("don't", "U.S.", "http://a.example/b?c", "10.0.0.1", "a@b.co", "3 likes", "Read more...", "SHOUT", "12345"),
        *("\u0600", "\U0001f595", "$5", "°C.", ":)", "“", "”", "(", ")", ".", "!", "?", "'s", "%", "—"),
    ]
)
ANY_TEXT = st.one_of(
    st.lists(PIECES, max_size=40).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.tuples(PIECES, st.integers(1, 300)).map(lambda pair: pair[0] * pair[1]),
    st.none(),
)


def annotated(texts: list[str | None], kind: str) -> list[dict]:
    n = len(texts)
    columns = {
        "doc_id": [""] * n,
        "dump": [""] * n,
        "url": ["http://a.example/"] * n,
        "text": pa.array(texts, pa.string()),
    }
    return annotate_batch(pa.RecordBatch.from_pydict(columns), ANNOTATIONS[kind], GROUPS).to_pylist()


@pytest.mark.parametrize("kind", ANNOTATIONS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_rows_know_nothing_of_each_other(kind, texts):
    rows = annotated(texts, kind)
    for text, row in zip(texts, rows, strict=True):
        assert str(annotated([text], kind)[0]) == str(row)  # as text, since NaN would not equal itself
        for group in GROUPS:
            if text is None and group not in ("urls", "lines"):
                assert row[group] is None or set(row[group].values()) == {None}, group
            for name, value in (row[group] or {}).items():
                if value is not None and not isinstance(value, str):
                    # White space that hid a word from fastText may go with a line's ends: there are more words then.
                    assert value >= 0 or name == "frac_words_removed", (group, name)
                    # Occurrences of a top n-gram may overlap, and a symbol a word is no share.
                    if name.startswith("frac_") and "top_" not in name:
                        assert value <= 1, (group, name)
        assert (row["text"] is None) == (text is None)


EXTREMES = {
    "a letter": "a" * 1_000_000,
    "newlines": "\n" * 1_000_000,
    "NUL": "\0" * 100_000,
    "one line": "word " * 100_000,
    "marks": "e" + "\u0301" * 100_000,
    "astral": "\U0001f595" * 100_000,
    "brackets": "(" * 100_000,
    "full stops": "." * 100_000,
    "at signs": "a@" * 100_000,
    "final sigmas": "\u0345" * 50_000 + "Σ",
}


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_extreme_texts(kind):
    rows = annotated(list(EXTREMES.values()), kind)
    assert [row["quality"]["n_chars"] for row in rows] <= [len(text) for text in EXTREMES.values()]
    assert all(row["gopher"]["n_tokens"] <= len(text) for row, text in zip(rows, EXTREMES.values(), strict=True))


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_bytes_that_are_no_text_become_replacement_characters(kind):
    broken = b"The \xed\xa0\x80 harbour \xff\xfe lies \xf4\x90\x80\x80 west. \xc3"
    text = pa.array([broken], pa.binary()).view(pa.string())
    columns = {"doc_id": [""], "dump": [""], "url": ["http://a.example/"], "text": text}
    row = annotate_batch(pa.RecordBatch.from_pydict(columns), ANNOTATIONS[kind], GROUPS)
    signals = row.column("quality")[0].as_py()
    assert signals["n_replacement_chars"] > 0 and signals["n_chars"] > signals["n_replacement_chars"]


@pytest.mark.parametrize("by_paragraph", [False, True])
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_ngrams_of_rows_know_nothing_of_each_other(by_paragraph, texts):
    bloom = Bloom(min_ngram=2, max_ngram=3)
    together = ngrams(pa.array(texts, pa.string()), bloom, by_paragraph=by_paragraph)
    alone = [ngrams(pa.array([text], pa.string()), bloom, by_paragraph=by_paragraph) for text in texts]
    for name, numbers in together._asdict().items():
        assert numbers.tolist() == [number for units in alone for number in getattr(units, name).tolist()], name
