"""Formats the funnel as text: one line for each number, with its share, and what is wrong with a dump."""

from typing import Any

from dclm_spark.lake import missing
from dclm_spark.pipeline.registry import STAGES, source_of
from dclm_spark.recipe.bounds import NO_TEXT, NO_TEXT_WORDS

_N_NAMED = 5  # files not read that are named

_LISTED_BY = {
    "urls.n_banned_domains": "--banned-domains",
    "urls.n_strict_words": "--strict-words",
    "urls.n_hard_words": "--hard-words",
    "urls.n_soft_words": "--soft-words",
    "c4.n_bad_words": "--bad-words",
}
"""Signal -> the option for the list that it needs."""


def format_funnel(entries: list[dict]) -> str:
    """Formats one block for each dump; shares are of records down to the line `documents`, and of documents below
    it."""
    return "\n\n".join(_format_dump(entry) for entry in entries)


def _format_dump(entry: dict[str, Any]) -> str:
    lines = [entry["dump"] + (f"   recipe {entry['recipe']}" if "recipe" in entry else "")]

    def line(label: str, n: int, of: int | None = None, note: str = "", indent: int = 2) -> None:
        share = f"{n / of:8.1%}" if of else " " * 8
        lines.append(f"{' ' * indent}{label:<{48 - indent}}{n:>13,}{share}   {note}".rstrip())

    if "documents" in entry:
        records = entry["records"]
        line("files", entry["files"])
        if entry["skipped_files"]:
            line("other files, skipped", entry["skipped_files"])
        if "unread" in entry:
            line("files not read", entry["unread"]["n"])
            for reason, n in entry["unread"]["reasons"].items():
                line(reason, n, indent=4)
        line("records read", records)
        line("skipped", sum(entry["skipped"].values()), records)
        for reason, n in entry["skipped"].items():
            line(reason, n, records, indent=4)
        line("quarantined", sum(entry["quarantined"].values()), records)
        for kind, n in entry["quarantined"].items():
            line(kind, n, records, indent=4)
        line("documents", entry["documents"], records)
        if "bad_digests" in entry:
            line("records with another digest than they claim", entry["bad_digests"], records, indent=4)
        for problem, n in entry.get("bad_dates", {}).items():
            line(f"fetched_at null: date {problem.replace('_', ' ')}", n, indent=4)
    removing = [(stage, stage.removes) for stage in STAGES.values() if stage.removes and stage.name in entry]
    if "filtered" in entry:
        documents = entry["filtered"] + sum(entry["removed"].values())
        line("removed", sum(entry["removed"].values()), documents)
        for signal, n in entry["removed"].items():
            if signal in entry["not_measured"]:
                lines.append(f"    {signal:<44}{'not measured':>13}{'':8}   {entry['bounds'][signal]}")
            else:
                note = NO_TEXT_WORDS if signal == NO_TEXT else entry["bounds"].get(signal, "")
                line(signal, n, documents, note=note, indent=4)
        line("filtered", entry["filtered"], documents)
    for stage, removes in removing:
        if stage.name != "filtered":
            n_removed = sum(entry[removes].values())
            of = documents if "filtered" in entry else entry[stage.name] + n_removed
            line("removed", n_removed, of)
            for reason, n in entry[removes].items():
                line(reason, n, of, indent=4)
            line(stage.name, entry[stage.name], of)
        if stage.name == "deduplicated" and "cuts" in entry:
            line("documents with paragraphs removed", entry["cuts"]["documents"], of, indent=4)
            line("paragraphs removed", entry["cuts"]["paragraphs"], indent=4)
    if entry.get("not_measured"):
        options = ", ".join(_LISTED_BY[signal] for signal in entry["not_measured"])
        lines.append(f"  not measured: rules of {entry['recipe']} whose lists were not given ({options})")
    if "unread" in entry:
        lines += [f"  not read: {path}: {why}" for path, why in list(entry["unread"]["named"].items())[:_N_NAMED]]
    if "documents" in entry and "is_balanced" not in entry:
        lines.append("  not finished: `dclm-spark documents` reads the remaining files")
    lines += [f"  {words}" for words in missing.in_words(entry)]
    if entry.get("is_stale"):
        lines.append("  out of date: an earlier table was made again since; `dclm-spark run` updates those after it")
    if "is_balanced" in entry:
        word = "adds up" if entry["is_balanced"] else "DOES NOT ADD UP"
        sums = ["records = skipped + quarantined + documents, documents = removed + filtered"]
        sums = sums if "documents" in entry else []
        for stage, _ in removing:
            if stage.name != "filtered" and (source := source_of(stage)) is not None:
                sums.append(f"{source.name} = removed + {stage.name}")
        lines.append(f"  {word}: {', '.join(sums)}")
    return "\n".join(lines)
