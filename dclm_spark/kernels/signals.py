"""Documents -> the same documents measured: every signal group of `annotated`, in one pass over a batch."""

import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.corrections import correct_text
from dclm_spark.kernels.fasttext import identify_language
from dclm_spark.kernels.fineweb import measure_fineweb
from dclm_spark.kernels.gopher import measure_gopher
from dclm_spark.kernels.lines import correct_lines
from dclm_spark.kernels.quality import measure_quality
from dclm_spark.kernels.repetition import measure_repetition
from dclm_spark.kernels.urls import measure_urls
from dclm_spark.recipes import Annotation


def annotate_batch(documents: pa.RecordBatch, annotation: Annotation) -> pa.RecordBatch:
    """The rows of `annotated` for rows that have at least doc_id, dump, url and text; in the same order.

    The order of work is DCLM's: URLs and newlines are corrected, the text is measured, then its lines are corrected;
    FineWeb's rules are about the text that comes out.
    """
    url = documents.column("url")
    text = correct_text(
        documents.column("text"), url_removal=annotation.url_removal, max_newlines=annotation.max_newlines
    )
    text_of_lines, lines = correct_lines(text, rules=annotation.line_rules)
    gopher = measure_gopher(
        text, tokens=annotation.tokens, stop_words=annotation.stop_words, reading=annotation.reading
    )
    columns = {
        "doc_id": documents.column("doc_id"),
        "dump": documents.column("dump"),
        "url": url,
        "urls": measure_urls(
            url, strict=annotation.strict_words, hard=annotation.hard_words, soft=annotation.soft_words
        ),
        "language": identify_language(
            text, model=annotation.language_model, languages=annotation.languages, newline=annotation.newline
        ),
        "quality": measure_quality(text, stop_words=annotation.stop_words),
        "repetition": measure_repetition(text),
        "lines": lines,
        "gopher": gopher,
        "c4": pa.nulls(len(text), schemas.C4),
        "fineweb": measure_fineweb(
            text_of_lines,
            tokens=annotation.tokens,
            reading=annotation.reading,
            short_line_chars=annotation.short_line_chars,
            n_tokens=gopher.field("n_tokens") if text_of_lines is text else None,
        ),
        "text": text_of_lines,
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in schemas.ANNOTATED.names], schema=schemas.ANNOTATED)
