"""Defines `Extraction`: how an archive record becomes a document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20  # bytes in a mebibyte

FETCH_YEARS = (1990, 2027)
"""Years from the web's first to the year after this version's release. They are constants, not read from a clock, so
that the same input always gives the same rows."""


@dataclass(frozen=True)
class Extraction:
    """Says how an archive record becomes a document: the part of a recipe that the stage `documents` uses.

    Args:
        extractor: `resiliparse` or `trafilatura`.
        options: The extractor's keyword arguments.
        charset: `detect` (from HTTP header, meta tag and content; bytes that cannot be decoded become U+FFFD; XHTML
            sent as XML is parsed as XML), or `utf-8` (strict, as DCLM's script decodes: a page in another charset is
            quarantined).
        content_types: Media types of pages to extract; records of other types are skipped and counted. Empty means
            every type.
        http_statuses: HTTP statuses of pages to extract; records with another are skipped and counted. Empty means
            every status.
        max_page_bytes: Largest page that is read; larger pages are quarantined. This limits a worker's memory.
        digests: What to do with a record whose bytes do not match its WARC-Block-Digest or WARC-Payload-Digest: `count`
            counts it and uses it as it is, `quarantine` sends it to quarantine, `ignore` checks no digests.
        max_page_seconds: CPU seconds that the extractor may use for one page; a page that needs more is
            quarantined. Most need milliseconds. Only for a page that needs about this long can the outcome differ
            between machines.
        max_memory_bytes: Memory that the extractor may use for one page; a page that needs more is quarantined.
        max_text_bytes: Longest extracted text, in bytes of UTF-8; a page with a longer one is quarantined. Nested
            lists can give a text that is larger than the page.
        fetch_years: First and last year (UTC) in which a page may have been fetched. A date in any other year, or one
            that cannot be parsed, becomes null and is counted.
    """

    extractor: str = "resiliparse"
    options: Mapping[str, Any] = field(default_factory=lambda: {"main_content": True})
    charset: str = "detect"
    content_types: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    http_statuses: tuple[int, ...] = (200,)
    max_page_bytes: int = 8 * MIB
    digests: str = field(default="count", metadata={"added": "0.2.0"})
    max_page_seconds: float = field(default=10.0, metadata={"added": "0.2.0"})
    max_memory_bytes: int = field(default=1024 * MIB, metadata={"added": "0.2.0"})
    max_text_bytes: int = field(default=8 * MIB, metadata={"added": "0.2.0"})
    fetch_years: tuple[int, ...] = field(default=FETCH_YEARS, metadata={"added": "0.2.0"})

    def problems(self) -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = []
        if self.charset not in ("detect", "utf-8"):
            found.append(f"extraction.charset is {self.charset!r}; expected 'detect' or 'utf-8'")
        if self.digests not in ("count", "quarantine", "ignore"):
            found.append(f"extraction.digests is {self.digests!r}; expected 'count', 'quarantine' or 'ignore'")
        if self.max_page_bytes < 1:
            found.append(f"extraction.max_page_bytes is {self.max_page_bytes}; expected 1 or more")
        if not 0.01 <= self.max_page_seconds <= 86_400:
            found.append(f"extraction.max_page_seconds is {self.max_page_seconds}; expected 0.01 to 86400")
        if not 32 * MIB <= self.max_memory_bytes <= 1 << 40:
            found.append(
                f"extraction.max_memory_bytes is {self.max_memory_bytes}; expected {32 * MIB} (32 MiB) to 1 TiB"
            )
        if self.max_text_bytes < 1:
            found.append(f"extraction.max_text_bytes is {self.max_text_bytes}; expected 1 or more")
        years = self.fetch_years
        if len(years) != 2 or not 1 <= years[0] <= years[1] <= 9999:
            found.append(f"extraction.fetch_years is {list(years)}; expected the first year and the last, 1 to 9999")
        return found
