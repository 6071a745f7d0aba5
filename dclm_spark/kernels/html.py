"""A page's html -> the text of its main content. Failures are values, never exceptions."""

import re
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

from dclm_spark.kernels.nesting import MAX_COST, cost_of_nesting

EXTRACTORS = ("resiliparse", "trafilatura")

_MAX_MESSAGE_CHARS = 300
_SURROGATE = re.compile("[\ud800-\udfff]")


def extract(html: str, *, extractor: str, options: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """A page's main text and the error, of which one is None. A page without text has the text `""`.

    DCLM's extraction is `resiliparse` with `main_content=True`. A page whose tags are nested so that an extractor
    would be at it for minutes or hours is an error, decided by its tags alone (see `nesting`). The text holds no
    surrogates.

    Args:
        html: The page, decoded.
        extractor: `resiliparse` or `trafilatura`.
        options: Keyword arguments of `extract_plain_text` or `trafilatura.extract`; see `check_extractor`.

    >>> extract("<p>one<p>two", extractor="resiliparse", options={"main_content": True})
    ('one\\n\\ntwo', None)
    >>> extract("", extractor="resiliparse", options={})
    ('', None)
    """
    cost = cost_of_nesting(html)
    if cost > MAX_COST:
        return None, f"too deep: the nesting of the page's tags costs {cost:.2g} steps; the limit is {MAX_COST:.2g}"
    try:
        text = (_extractor(extractor)(html, **options) or "") if html else ""
    except Exception as error:  # whatever a page provokes is the page's fault, and costs the page alone
        return None, _message(error)
    if extractor == "trafilatura":  # resiliparse gives UTF-8; Python's own strings may hold surrogates
        text = _SURROGATE.sub("\ufffd", text)
    return text, None


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
        known = [*signature(_extractor(extractor)).parameters][1:]
    except ImportError as error:
        return [f"{extractor} cannot be imported ({error}): pip install {extractor}"]
    return [f"{extractor} has no option {name!r}; it has {', '.join(known)}" for name in options if name not in known]


def _extractor(name: str) -> Callable[..., str | None]:
    if name == "trafilatura":
        import trafilatura  # takes a second to import, and few want it

        return trafilatura.extract
    return extract_plain_text


def _message(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_MESSAGE_CHARS]
