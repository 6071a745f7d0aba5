"""Corrects documents and measures the signal groups of `annotated`, in one pass over a batch."""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.fasttext.identify import identify_language
from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.domains import count_excluded
from dclm_spark.kernels.signals.fineweb import measure_fineweb
from dclm_spark.kernels.signals.gopher import measure_gopher
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.kernels.signals.quality import measure_quality
from dclm_spark.kernels.signals.repetition import measure_repetition
from dclm_spark.kernels.signals.urls import measure_urls
from dclm_spark.recipe.annotation import Annotation


def annotate_batch(documents: pa.RecordBatch, annotation: Annotation, groups: Sequence[str]) -> pa.RecordBatch:
    """Makes rows of `annotated` from rows that have at least doc_id, dump, url and text; in the same order.

    The order of work is DCLM's: URLs and newlines are corrected, the text is measured, then its lines are corrected.
    C4's rules come last, on what that leaves; FineWeb's are about the text that comes out. Groups that are not asked
    for are null.
    """
    url = documents.column("url")
    text = correct_text(
        documents.column("text"), url_removal=annotation.url_removal, max_newlines=annotation.max_newlines
    )
    text_of_lines, lines = correct_lines(text, rules=annotation.line_rules)
    n_tokens = None  # of `text_of_lines`, where they have been counted
    # Cleaned whether or not the group is asked for: what is measured does not change the text.
    if "c4" in groups or annotation.c4.cleans_text:
        text_of_lines, c4, n_tokens = clean_c4(
            text_of_lines,
            rules=annotation.c4,
            tokens=annotation.tokens,
            reading=annotation.reading,
            bad_words=annotation.bad_words,
            word_breaker=annotation.word_breaker,
        )
    columns = {
        **{group: pa.nulls(len(text), type_) for group, type_ in schemas.SIGNAL_GROUPS.items()},
        "doc_id": documents.column("doc_id"),
        "dump": documents.column("dump"),
        "url": url,
        "text": text_of_lines,
        "lines": lines,
    }
    if "c4" in groups:
        columns["c4"] = c4
    if "urls" in groups:
        columns["urls"] = measure_urls(
            url,
            strict=annotation.strict_words,
            hard=annotation.hard_words,
            soft=annotation.soft_words,
            n_excluded_domains=count_excluded(url, annotation.excluded_domains, match=annotation.domain_match),
        )
    if "language" in groups:
        columns["language"] = identify_language(
            text, model=annotation.language_model, languages=annotation.languages, newline=annotation.newline
        )
    if "quality" in groups:
        columns["quality"] = _by_language(
            text,
            columns["language"],
            annotation,
            lambda texts, stop_words: measure_quality(texts, stop_words=stop_words),
        )
    if "repetition" in groups:
        columns["repetition"] = measure_repetition(text, word_breaker=annotation.word_breaker)
    if "gopher" in groups:
        columns["gopher"] = _by_language(
            text,
            columns["language"],
            annotation,
            lambda texts, stop_words: measure_gopher(
                texts,
                tokens=annotation.tokens,
                stop_words=stop_words,
                reading=annotation.reading,
                word_breaker=annotation.word_breaker,
            ),
        )
    if "fineweb" in groups:
        if "gopher" in groups and text_of_lines is text:
            n_tokens = columns["gopher"].field("n_tokens")
        columns["fineweb"] = measure_fineweb(
            text_of_lines,
            tokens=annotation.tokens,
            reading=annotation.reading,
            short_line_chars=annotation.short_line_chars,
            n_tokens=n_tokens,
            word_breaker=annotation.word_breaker,
        )
    return pa.RecordBatch.from_arrays([columns[name] for name in schemas.ANNOTATED.names], schema=schemas.ANNOTATED)


Measure = Callable[[pa.Array, tuple[str, ...]], pa.StructArray]


def _by_language(text: pa.Array, language: pa.StructArray, annotation: Annotation, measure: Measure) -> pa.StructArray:
    """Applies `measure` to each text with the stop words of its language."""
    words: Mapping[str, tuple[str, ...]] = annotation.stop_words_of
    if not words:
        return measure(text, annotation.stop_words)
    rows: dict[str | None, list[int]] = {}
    for row, code in enumerate(language.field("code").to_pylist()):
        rows.setdefault(code if code in words else None, []).append(row)
    parts = [
        measure(text.take(pa.array(of)), annotation.stop_words if code is None else words[code])
        for code, of in rows.items()
    ]
    order = [row for of in rows.values() for row in of]
    places = pa.array(sorted(range(len(order)), key=order.__getitem__), pa.int64())
    return pa.concat_arrays(parts).take(places) if parts else measure(text, annotation.stop_words)
