"""Explains what happened to one page: its source, each signal with its bound, and the first rule that it broke."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.errors import InputError
from dclm_spark.files.domain_lists import read_domain_list
from dclm_spark.kernels.archive.sniffing import binary_type
from dclm_spark.kernels.html.charsets import decode
from dclm_spark.kernels.html.extract import extract, limits_of
from dclm_spark.kernels.html.xhtml import is_xhtml
from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.kernels.signals.c4 import clean_c4
from dclm_spark.kernels.signals.corrections import correct_text
from dclm_spark.kernels.signals.domains import count_banned
from dclm_spark.kernels.signals.lines import correct_lines
from dclm_spark.recipe.annotation import Annotation, C4Lines
from dclm_spark.recipe.bounds import NO_TEXT, NO_TEXT_WORDS, is_empty
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.cluster_text import became
from dclm_spark.terminal import shown, shown_in_line

_MAX_SHOWN_LINES = 20
_MAX_PARAGRAPH_CHARS = 80


def explain_html(html: bytes, *, url: str | None, recipe: Recipe) -> dict[str, Any]:
    """Explains a page given as html, by the same kernels as the tables, without Spark or a warehouse.

    Raises:
        InputError: The page's bytes are not text, so that it would be skipped in a dump; or they cannot be decoded or
            extracted, so that it would be in quarantine; or the recipe's list of domains cannot be read.
    """
    url = (
        None if url is None else url.encode(errors="replace").decode()
    )  # command-line arguments may hold bytes that are not UTF-8
    if (kind := binary_type(html)) is not None:
        raise InputError([f"the page would be skipped: its bytes are no text, but {kind}"])
    extraction = recipe.extraction
    # A page from a file has no HTTP header with its media type.
    content_type = "application/xhtml+xml" if is_xhtml(html) else None
    text, charset, error = decode(html, None, charset=extraction.charset, content_type=content_type)
    if text is not None:
        text, failure = extract(
            text, extractor=extraction.extractor, options=extraction.options, limits=limits_of(extraction)
        )
        error = failure and f"{failure.kind}: {failure.message}"
    if text is None:
        raise InputError([f"the page would be in quarantine: {error}"])
    row = pa.RecordBatch.from_pylist([{"doc_id": "", "dump": "", "url": url, "text": text}], schema=_MEASURED)
    annotated = annotate_batch(row, recipe.annotation, recipe.groups).to_pylist()[0]
    listed = recipe.annotation.banned_domains
    if listed is not None:
        n_banned = count_banned(url, read_domain_list(listed), match=recipe.annotation.domain_match)
        annotated["urls"]["n_banned_domains"] = n_banned
    return {
        "url": url,
        **({"content_type": content_type} if content_type else {}),
        "charset": charset,
        "html_bytes": len(html),
        "recipe": recipe.name,
        **judge(annotated, recipe),
        "lines": corrected_lines(text, recipe.annotation),
        "text": annotated["text"],
    }


_MEASURED = pa.schema([schemas.DOCUMENTS.field(name) for name in ("doc_id", "dump", "url", "text")])


def judge(annotated: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Applies a recipe to a row of `annotated`: returns its rules with value, bound and verdict, and the other signals.

    Rules for other languages than the page's, and signal groups that were not measured, are not in the result.
    """

    code = (annotated["language"] or {}).get("code")

    def value_of(signal: str) -> Any:
        group, name = signal.split(".")
        return (annotated[group] or {}).get(name)

    rules = [
        {
            "signal": bound.signal,
            "value": value_of(bound.signal),
            "bound": str(bound),
            "is_broken": bound.breaks(value_of(bound.signal), language=code),
        }
        for bound in recipe.bounds
        if bound.holds_for(code)
    ]
    bounded = {rule["signal"] for rule in rules}
    others = {
        f"{group}.{field.name}": annotated[group][field.name]
        for group, struct in schemas.SIGNAL_GROUPS.items()
        if annotated[group] is not None
        for field in struct
        if f"{group}.{field.name}" not in bounded
    }
    removed_by = next((rule["signal"] for rule in rules if rule["is_broken"]), None)
    if removed_by is not None and not removed_by.startswith("urls.") and is_empty(value_of):
        removed_by = NO_TEXT
    return {"rules": rules, "signals": others, "removed_by": removed_by}


def corrected_lines(text: str, annotation: Annotation) -> list[dict[str, Any]]:
    """Lists the lines that line rules change: the rule, the line, and the corrected line, null if it is removed.

    Entries are in the order of the rules, C4's last, then of the lines. A line that two rules change has two entries;
    blank lines have none.
    """
    # Each rule looks at a single line, so a line can be processed as a text.
    whole = correct_text(pa.array([text]), url_removal=annotation.url_removal, max_newlines=annotation.max_newlines)
    lines = whole[0].as_py().split("\n")
    found = []
    for rule in annotation.line_rules:
        corrected, signals = correct_lines(pa.array(lines, pa.string()), rules=(rule,))
        left = []
        for line, becomes, signal in zip(lines, corrected.to_pylist(), signals.to_pylist(), strict=True):
            if signal["n_lines_removed"]:
                if line.strip():
                    found.append({"rule": str(rule), "line": line, "becomes": None})
                continue
            if signal["n_lines_cut"]:
                found.append({"rule": str(rule), "line": line, "becomes": becomes})
            left.append(becomes if signal["n_lines_cut"] else line)
        lines = left
    return [*found, *_cleaned_lines("\n".join(lines), annotation)] if annotation.c4.cleans_text else found


_NO_RULE = C4Lines(
    True, None, removes_citations=False, needs_end_mark=False, min_words=0, code_phrases=(), policy_phrases=()
)


def _cleaned_lines(text: str, annotation: Annotation) -> list[dict[str, Any]]:
    """Lists the lines that C4's rules change: each removed line with the first rule that removes it."""
    rules, code, policy = annotation.c4, annotation.c4.code_phrases, annotation.c4.policy_phrases
    steps: list[tuple[str, dict[str, Any]]] = [
        ("longest word", {"max_word_chars": rules.max_word_chars}),
        ("citations", {"removes_citations": rules.removes_citations}),
        ("end mark", {"needs_end_mark": rules.needs_end_mark}),
        ("words", {"min_words": rules.min_words}),
        *((repr(phrase), {"code_phrases": code[:number]}) for number, phrase in enumerate(code, 1)),
        *((repr(phrase), {"policy_phrases": policy[:number]}) for number, phrase in enumerate(policy, 1)),
    ]
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    shown = dict.fromkeys(lines)  # line -> its form after the rules so far
    found, rule = [], _NO_RULE
    for name, changes in steps:
        rule = replace(rule, **changes)
        # Sentences are not needed here, so the faster tokens are used.
        cleaned, signals, _ = clean_c4(
            pa.array(lines, pa.string()), rules=rule, tokens="uax29", reading=annotation.reading, bad_words=None
        )
        left = []
        for line, becomes, signal in zip(lines, cleaned.to_pylist(), signals.to_pylist(), strict=True):
            if signal["n_lines_removed"]:
                found.append({"rule": f"C4: {name}", "line": shown[line] or line, "becomes": None})
                continue
            if becomes != (shown[line] or line):
                found.append({"rule": f"C4: {name}", "line": shown[line] or line, "becomes": becomes})
                shown[line] = becomes
            left.append(line)
        lines = left
    return found


def format_explanation(explained: dict[str, Any], *, text_chars: int = 300) -> str:
    """Formats an explanation as text; a null value prints as `-`."""
    names = (explained.get(name) for name in ("url", "doc_id", "warc_record_id"))
    lines = [shown_in_line(next(filter(None, names), "a page without URL"))]

    def line(label: str, value: Any, *notes: str) -> None:
        lines.append(
            "  " + "".join([f"{label:<44}", f"{_show(value):>18}", *(f"   {note}" for note in notes)]).rstrip()
        )

    if "warc_path" in explained:
        base_name, offset = explained["warc_path"].rsplit("/", 1)[-1], explained["warc_offset"]
        lines.append(f"  {'file':<16}{shown_in_line(base_name)}, at {'-' if offset is None else offset}")
    for name in ("doc_id", "dump", "fetched_at", "http_status", "content_type", "charset"):
        if name in explained:
            value = "-" if explained[name] is None else shown_in_line(str(explained[name]))
            lines.append(f"  {name:<16}{value}")
    if "kind" in explained:
        lines.append(f"  in quarantine: {explained['kind']}: {shown_in_line(explained['message'])}")
        return "\n".join(lines)
    if "rules" not in explained:
        lines.append("  a document; not annotated yet")
        return "\n".join(lines)
    for rule in explained["rules"]:
        verdict = "kept" if rule["value"] is not None else "not measured"
        if rule["is_broken"]:
            verdict = "BROKEN" if rule["signal"] == explained["removed_by"] else "broken too"
        line(rule["signal"], rule["value"], f"{rule['bound']:<22}", verdict)
    for signal, value in explained["signals"].items():
        line(signal, value)
    changed = explained.get("lines", [])
    for entry in changed[:_MAX_SHOWN_LINES]:
        fate = "removed" if entry["becomes"] is None else "becomes " + repr(entry["becomes"])
        lines.append(f"  line {entry['line']!r}: {fate} ({entry['rule']})")
    if len(changed) > _MAX_SHOWN_LINES:
        lines.append(
            f"  and {len(changed) - _MAX_SHOWN_LINES:,} more lines that a rule removed or changed; --json shows all"
        )
    removed_by = explained["removed_by"]
    why = f"{removed_by}: {NO_TEXT_WORDS}" if removed_by == NO_TEXT else removed_by
    lines.append(f"  removed by {why}" if removed_by else f"  kept by recipe {explained['recipe']}")
    if "duplicates" in explained:
        lines.append("  " + became(explained["duplicates"], doc_id=explained["doc_id"]))
    lines += [f"  {said}" for said in _deduplication(explained)]
    text = explained["text"]
    lines.append("  text: " + text[:text_chars].replace("\n", "\n        ") + ("…" if len(text) > text_chars else ""))
    return shown("\n".join(printed.rstrip() for printed in "\n".join(lines).split("\n")))


def _deduplication(explained: dict[str, Any]) -> list[str]:
    """Describes what deduplication removed of a document; empty if the line on near-duplicates says it already."""
    found = explained.get("deduplication", {"removed_by": None, "cuts": []})
    if found["removed_by"] == "near_duplicate" and "duplicates" in explained:
        return []
    if found["removed_by"]:
        return [f"deduplicated: removed by {_reason(found['removed_by'], found)}"]
    cuts = found["cuts"]
    if not cuts:
        return []
    n_paragraphs = explained["text"].count("\n") + 1
    lines = [f"deduplicated: kept, but for {len(cuts):,} of its {n_paragraphs:,} paragraphs"]
    for cut in cuts[:_MAX_SHOWN_LINES]:
        text = cut["text"][:_MAX_PARAGRAPH_CHARS] + ("…" if len(cut["text"]) > _MAX_PARAGRAPH_CHARS else "")
        lines.append(f"paragraph {cut['paragraph']:,} {text!r}: removed ({_reason(cut['reason'], cut)})")
    if len(cuts) > _MAX_SHOWN_LINES:
        lines.append(f"and {len(cuts) - _MAX_SHOWN_LINES:,} more paragraphs; --json shows all")
    return lines


def _reason(name: str, row: dict[str, Any]) -> str:
    """Describes in one clause why a document or a paragraph was removed, as far as its row tells.

    >>> _reason("duplicate_text", {"value": None, "detail": "of a of A"})
    'duplicate_text, of a of A'
    >>> _reason("duplicate_ngrams", {"value": 0.9125, "detail": None})
    'duplicate_ngrams, 91.2% of its n-grams seen before'
    """
    words = "similarity {:.2f}" if name == "near_duplicate" else "{:.1%} of its n-grams seen before"
    value = [] if row["value"] is None else [words.format(row["value"])]
    return ", ".join([name, *value, *([row["detail"]] if row["detail"] else [])])


def _show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
