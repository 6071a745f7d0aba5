"""Formats a survey as text: what each choice keeps, in total and by dump, host, length or age."""

from collections.abc import Mapping, Sequence
from typing import Any

from dclm_spark.errors import InputError

MEASURES = ("documents", "words", "bytes")
BREAKDOWNS = {
    "dump": "by dump",
    "domain": "by host",
    "length": "by the words of a document before deduplication",
    "age": "by the month of the crawl",
}
"""Breakdown of shares -> the words for it in the heading."""


def format_survey(entries: Sequence[Mapping[str, Any]], *, by: str = "dump") -> str:
    """Formats what each choice keeps, one line each, then the shares of words by dump or another breakdown.

    Raises:
        InputError: The breakdown was not measured.
    """
    none, *others = entries
    if by not in none["by"]:
        raise InputError([f"{by} was not measured: there is no table documents, which says when a page was fetched"])
    lines = [" " * 16 + "".join(f"{measure:>18}{'share':>8}" for measure in MEASURES)]
    for entry in entries:
        numbers = (f"{entry[measure]:>18,}{_percent(entry[f'share_of_{measure}']):>8}" for measure in MEASURES)
        lines.append(f"{entry['choice']:<16}{''.join(numbers)}")
    width = max(16, *(len(value) + 2 for value in none["by"][by]))
    lines += ["", f"words kept, {BREAKDOWNS[by]}"]
    for field in ("method", "scope"):
        lines.append(
            f"{'':<{width}}{'none' if field == 'scope' else '':>14}" + "".join(f"{e[field]:>10}" for e in others)
        )
    for value, numbers in none["by"][by].items():
        shares = (f"{_percent(entry['by'][by][value]['share_of_words']):>10}" for entry in others)
        lines.append(f"{value:<{width}}{numbers['words']:>14,}{''.join(shares)}")
    lines += ["", "words: separated by white space, in the text kept; bytes: of this text in UTF-8"]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
