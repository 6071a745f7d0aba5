"""A page's html -> the text of its main content. Failures are values, never exceptions."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from dclm_spark.kernels.html.extractor_process import load
from dclm_spark.kernels.html.sandbox import Failure, Limits, extract_alone
from dclm_spark.recipe.extraction import Extraction

EXTRACTORS = ("resiliparse", "trafilatura")
LIMITS = Limits()


def extract(
    html: str, *, extractor: str, options: Mapping[str, Any], limits: Limits = LIMITS
) -> tuple[str | None, Failure | None]:
    """A page's main text and the failure, of which one is None. A page without text has the text `""`.

    DCLM's extraction is `resiliparse` with `main_content=True`. The extractor runs in a process of its own, so that a
    page that it cannot cope with costs that page (see `sandbox`, which has the same for many pages). The text holds no
    surrogates.

    Args:
        html: The page, decoded.
        extractor: `resiliparse` or `trafilatura`.
        options: Keyword arguments of `extract_plain_text` or `trafilatura.extract`; see `check_extractor`.
        limits: What the page may take.

    Raises:
        ExtractorError: The extractor's process does not start.

    >>> extract("<p>one<p>two", extractor="resiliparse", options={"main_content": True})
    ('one\\n\\ntwo', None)
    >>> extract("", extractor="resiliparse", options={})
    ('', None)
    """
    [(_, text, failure)] = extract_alone([(None, html)], extractor=extractor, options=options, limits=limits)
    return text, failure


def limits_of(extraction: Extraction) -> Limits:
    """What a recipe lets a page take."""
    return Limits(extraction.max_page_seconds, extraction.max_memory_bytes, extraction.max_text_bytes)


def check_extractor(extractor: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with a choice of extractor, one sentence each; empty when it can be used.

    >>> check_extractor("resiliparse", {"main_content": True})
    []
    >>> check_extractor("resiliparse", {"main": True})
    ["resiliparse has no option 'main'; it has preserve_formatting, main_content, list_bullets, alt_texts, links, \
form_fields, noscript, comments, post_meta, hidden_elements, skip_elements"]
    """
    if extractor not in EXTRACTORS:
        return [f"there is no extractor {extractor!r}; there are {' and '.join(EXTRACTORS)}"]
    try:
        known = [*signature(load(extractor)).parameters][1:]
    except ImportError as error:
        return [f"{extractor} cannot be imported ({error}): pip install {extractor}"]
    return [f"{extractor} has no option {name!r}; it has {', '.join(known)}" for name in options if name not in known]
