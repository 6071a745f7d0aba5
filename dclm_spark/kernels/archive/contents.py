"""Decides what a record holds: html to extract, a text, or neither, and why."""

from typing import NamedTuple

from dclm_spark.kernels.archive.outcomes import CHARSET, TOO_LARGE, Fault, Page
from dclm_spark.kernels.archive.pools import Line
from dclm_spark.kernels.html.charsets import decode, without_nuls
from dclm_spark.kernels.html.sandbox import Failure
from dclm_spark.recipe.extraction import Extraction


class Content(NamedTuple):
    """The content of a record.

    Attributes:
        html: A page, decoded, whose text is to be extracted; None where the text is there, or there is no page.
        text: The text of a record that comes without html.
        charset: Python's name of the charset that the page was decoded by; None for a pool's line.
        failure: Why the record has neither.
    """

    html: str | None = None
    text: str | None = None
    charset: str | None = None
    failure: Failure | None = None


def content_of(record: Page | Line | Fault | OSError, extraction: Extraction) -> Content:
    """Returns the content of a record; empty if it is neither a page nor a line.

    >>> page = Page(0, None, None, None, 200, "text/html", None, b"<p>one", is_text=False)
    >>> content_of(page, Extraction()).html
    '<p>one'
    """
    if isinstance(record, Line):
        return _text_within_limit(record.text, None, extraction)
    if not isinstance(record, Page):
        return Content()
    if record.is_text:
        text, error = without_nuls(record.payload.decode("utf-8", "replace"))
        if error is not None:
            return Content(failure=Failure(CHARSET, error))
        assert text is not None  # of the two one is None
        return _text_within_limit(text, "utf-8", extraction)
    html, charset, error = decode(
        record.payload, record.charset, charset=extraction.charset, content_type=record.content_type
    )
    return Content(html=html, charset=charset, failure=None if error is None else Failure(CHARSET, error))


def _text_within_limit(text: str, charset: str | None, extraction: Extraction) -> Content:
    """Returns the content of a record whose text needs no extractor."""
    limit = extraction.max_text_bytes
    n_bytes = len(text.encode("utf-8", "replace")) if 4 * len(text) > limit else 0
    if n_bytes > limit:
        return Content(failure=Failure(TOO_LARGE, f"a text of {n_bytes} bytes; the limit is {limit}"))
    return Content(text=text, charset=charset)
