"""A survey in words: what each choice leaves, a line each, and by dump, host, length or age."""

from collections.abc import Mapping, Sequence
from typing import Any

from dclm_spark.errors import InputError

MEASURES = ("documents", "words", "bytes")
BREAKDOWNS = {
    "dump": "by dump",
    "domain": "by host",
    "length": "by the words of a document before anything was cut",
    "age": "by the month of the crawl",
}
"""What shares are told by, and how its heading says so."""


def format_survey(entries: Sequence[Mapping[str, Any]], *, by: str = "dump") -> str:
    """What each choice leaves, a line each, and below the shares of words by dump, or by another breakdown.

    Raises:
        InputError: That breakdown was not measured.
    """
    none, *others = entries
    if by not in none["by"]:
        raise InputError([f"nothing is known of {by}: no table documents, which says when a page was fetched"])
    lines = [" " * 16 + "".join(f"{measure:>18}{'share':>8}" for measure in MEASURES)]
    for entry in entries:
        numbers = (f"{entry[measure]:>18,}{_percent(entry[f'share_of_{measure}']):>8}" for measure in MEASURES)
        lines.append(f"{entry['choice']:<16}{''.join(numbers)}")
    width = max(16, *(len(value) + 2 for value in none["by"][by]))
    lines += ["", f"words that stay, {BREAKDOWNS[by]}"]
    for field in ("method", "scope"):
        lines.append(
            f"{'':<{width}}{'none' if field == 'scope' else '':>14}" + "".join(f"{e[field]:>10}" for e in others)
        )
    for value, numbers in none["by"][by].items():
        shares = (f"{_percent(entry['by'][by][value]['share_of_words']):>10}" for entry in others)
        lines.append(f"{value:<{width}}{numbers['words']:>14,}{''.join(shares)}")
    lines += ["", "words: between white space, of the text that stays; bytes: of it, in UTF-8"]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
