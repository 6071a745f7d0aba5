"""The explanation of a page in hand: what went, by which rule, without Spark."""

from dataclasses import replace

import pytest

from dclm_spark.errors import InputError
from dclm_spark.recipe.builtin import C4, C4_FAITHFUL, FINEWEB
from dclm_spark.recipe.extraction import Extraction
from dclm_spark.reports.explain import explain_html, format_explanation
from tests.support.archives import html

LINES = (
    "The harbour of the town lies west. [1]",
    "Home",
    "Please enable JavaScript to see the menu.",
    "We have a privacy policy that you may read here.",
    f"One {'long' * 300} word.",
)


def lines_of(recipe) -> dict[str, str | None]:
    """Rule -> what it made of its line; each rule here has one."""
    page = html("".join(f"<p>{line}</p>" for line in LINES))
    explained = explain_html(page, url=None, recipe=replace(recipe, extraction=Extraction()))
    assert format_explanation(explained).count("\n  line ") == len(explained["lines"])
    return {entry["rule"]: entry["becomes"] for entry in explained["lines"]}


def test_the_lines_that_c4_takes_are_shown_with_their_rule():
    assert lines_of(C4) == {
        "C4: longest word": None,
        "C4: citations": "The harbour of the town lies west.",
        "C4: end mark": None,
        "C4: 'javascript'": None,
        "C4: 'privacy policy'": None,
    }


def test_a_rule_that_is_off_takes_none():
    assert "C4: end mark" not in lines_of(FINEWEB) and "C4: words" in lines_of(FINEWEB)


@pytest.mark.parametrize("recipe", [C4, C4_FAITHFUL])
def test_what_is_shown_is_what_the_text_lost(recipe):
    page = html("".join(f"<p>{line}</p>" for line in LINES))
    explained = explain_html(page, url=None, recipe=recipe)
    gone = [entry["line"] for entry in explained["lines"] if entry["becomes"] is None]
    assert explained["signals"]["c4.n_lines_removed"] == len(gone)
    assert not any(line in explained["text"] for line in gone)


def test_bytes_that_are_no_text_would_be_skipped():
    with pytest.raises(InputError, match="would be skipped: its bytes are no text, but application/pdf"):
        explain_html(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", url=None, recipe=C4)


def test_a_page_in_hand_needs_no_url():
    explained = explain_html(html("<p>A bell rings at noon.</p>"), url=None, recipe=FINEWEB)
    assert format_explanation(explained).splitlines()[0] == "a page without URL"
