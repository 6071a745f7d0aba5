"""Defines the columns of all tables: one Arrow schema for each table, one struct for each signal group.

A schema is written only here; Spark's types, the tables' columns and the kernels' results all follow from it. A
`_field` may be null; a `_required` field never is. The text after a column's type is its comment.
"""

from collections.abc import Iterator

import pyarrow as pa

UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")


# Default comments of columns that several tables share.
_SHARED = {
    "attempt_id": "the attempt to read the dump's files that the row belongs to",
    "code": "the likeliest language's label",
    "content_type": "media type that the response's header names",
    "doc_id": "id of the document, 32 hex letters",
    "dump": "name of the crawl, such as CC-MAIN-2022-05",
    "fetched_at": "when the page was fetched; null where the date cannot be read",
    "flock": "number of a group of about a thousand documents whose n-grams were packed together",
    "frac_bullet_lines": "share of lines that begin with a bullet",
    "frac_ellipsis_lines": "share of lines that end in an ellipsis",
    "frac_tokens_with_letter": "share of tokens that have a letter",
    "frac_words_without_letter": "share of words that have no letter",
    "frac_duplicate_lines": "share of lines that occur more than once",
    "frac_duplicate_paragraphs": "share of paragraphs that occur more than once",
    "frac_duplicate_line_chars": "share of characters in lines that occur more than once",
    "frac_duplicate_paragraph_chars": "share of characters in paragraphs that occur more than once",
    "host": "host of the URL, in lower case, without port",
    "http_status": "status of the response",
    "language": "label of the likeliest language",
    "metadata": "other fields of a pool's line, as JSON",
    "reason": "why it was removed",
    "recipe": "name of the recipe",
    "recipe_hash": "hash of the whole recipe",
    "recipe_json": "the whole recipe, as JSON",
    "removed_by": "reason why the document was removed",
    "run_id": "id of the run",
    "scope": "how far documents are compared: dump, shards, all or incremental",
    "seconds": "how long the run took",
    "stage": "stage that wrote the row",
    "started_at": "when the run began",
    "step": "index of the deduplication method in the recipe, from 0",
    "text": "text of the document",
    "url": "URL of the page, as the crawl wrote it",
    "warc_offset": "offset in bytes of the record in its file",
    "warc_path": "path or URL of the archive file, without secrets",
    "warc_record_id": "WARC-Record-ID of the record",
}


def _field(name: str, type_: pa.DataType, comment: str = "", *, nullable: bool = True) -> pa.Field:
    """Makes a column; its comment is written to Delta, for catalogs and SQL tools, and to the documentation of
    tables."""
    said = comment or _SHARED.get(name, "")
    return pa.field(name, type_, nullable=nullable, metadata={"comment": said} if said else None)


def _required(name: str, type_: pa.DataType, comment: str = "") -> pa.Field:
    return _field(name, type_, comment, nullable=False)


# -- signal groups: the structs of `annotated` ------------------------------------------------------------------------

URLS = pa.struct(
    [
        _field("host", pa.string(), "lower case, without port; null where the URL has none"),
        _field("registered_domain", pa.string(), "public suffix plus one label; null for an IP address"),
        _field("n_banned_domains", pa.int32(), "1 if the recipe's list bans the host, else 0; null without a list"),
        _field("n_strict_words", pa.int32(), "distinct banned words found; null where the recipe has no such list"),
        _field(
            "n_hard_words",
            pa.int32(),
            "distinct banned words found as whole words; null where the recipe has no such list",
        ),
        _field(
            "n_soft_words",
            pa.int32(),
            "distinct words found of the list of which a URL may hold one; null where the recipe has no such list",
        ),
        _field("n_excluded_domains", pa.int32(), "1 if the recipe itself names the domain, else 0"),
    ]
)

LANGUAGE = pa.struct(
    [
        _field("code", pa.string(), "the likeliest language's label; null for a text without letters"),
        _field("p_code", pa.float64(), "probability of that language"),
        _field("p_target", pa.float64(), "`p_code` if the recipe wants that language, else 0"),
    ]
)

QUALITY = pa.struct(
    [
        _field("n_words", pa.int32(), "fastText tokens that begin with a letter or digit: the length rule's words"),
        _field("n_words_split", pa.int32(), "words separated by white space"),
        _field("n_chars", pa.int64(), "code points"),
        _field(
            "n_replacement_chars",
            pa.int32(),
            "number of U+FFFD characters, which replace bytes that could not be decoded",
        ),
        _field("n_lines", pa.int32(), "lines that are not blank"),
        _field("mean_word_chars", pa.float64(), "mean length of the white-space words, in characters"),
        _field("symbols_per_word", pa.float64(), '"#" and ellipses per white-space word; may be above 1'),
        _field("frac_bullet_lines", pa.float64()),
        _field("frac_ellipsis_lines", pa.float64()),
        _field("frac_words_without_letter", pa.float64()),
        _field("n_stop_words", pa.int32(), "occurrences of stop words, repeated ones included"),
    ]
)

REPETITION = pa.struct(
    [
        _field("n_words", pa.int32(), "UAX #29 segments that begin with a letter or digit, the words of n-grams"),
        _field("frac_duplicate_lines", pa.float64()),
        _field("frac_duplicate_paragraphs", pa.float64()),
        _field("frac_duplicate_line_chars", pa.float64()),
        _field("frac_duplicate_paragraph_chars", pa.float64()),
        # Shares of the words' characters; may be above 1, because occurrences overlap.
        *(
            _field(
                f"frac_top_{n}gram_chars", pa.float64(), f"share of characters in the most frequent run of {n} words"
            )
            for n in (2, 3, 4)
        ),
        *(
            _field(f"frac_duplicate_{n}gram_chars", pa.float64(), f"share of characters in repeated runs of {n} words")
            for n in (5, 6, 7, 8, 9, 10)
        ),
    ]
)

# Gopher's rules as datatrove has them. Tokens are those of `annotation.tokens`, including punctuation marks.
GOPHER = pa.struct(
    [
        _field("n_tokens", pa.int32(), "tokens, including punctuation marks"),
        _field("n_words", pa.int32(), "tokens that do not consist of punctuation only"),
        _field("mean_word_chars", pa.float64(), "mean length of the words, in characters; null without words"),
        _field(
            "hashes_per_token",
            pa.float64(),
            '"#" per token; this and all shares below are null where the denominator is 0',
        ),
        _field("ellipses_per_token", pa.float64(), "ellipses per token"),
        _field("frac_bullet_lines", pa.float64()),
        _field("frac_ellipsis_lines", pa.float64()),
        _field("frac_tokens_with_letter", pa.float64()),
        _field("n_stop_words", pa.int32(), "distinct stop words that occur"),
        *(field for field in REPETITION if field.name.startswith("frac_")),  # only the second and later copies count
    ]
)

# C4's rules as datatrove has them: the lines removed, and counts in the other lines.
C4 = pa.struct(
    [
        _field("n_lines_removed", pa.int32(), "lines that C4's rules removed"),
        _field("n_sentences", pa.int32(), "sentences in the lines that are kept"),
        _field("n_lorem_ipsum", pa.int32(), 'lines with "lorem ipsum", among those that no earlier rule has removed'),
        _field("n_curly_brackets", pa.int32(), 'lines with "{", among those that no earlier rule has removed'),
        _field("n_bad_words", pa.int32(), "banned words in the kept text; null where the recipe has no such list"),
        _field("n_long_lines", pa.int32(), "lines of 200 characters or more in the kept text"),
    ]
)

# FineWeb's rules, measured on the corrected text of `annotated`.
FINEWEB = pa.struct(
    [
        _field("n_lines", pa.int32(), "lines that are not blank"),
        _field(
            "frac_punctuated_lines",
            pa.float64(),
            "share of lines with an end mark; this and the next two are null without lines",
        ),
        _field("frac_short_lines", pa.float64(), "share of short lines"),
        _field("frac_duplicate_line_chars", pa.float64()),
        _field("newlines_per_token", pa.float64(), "newlines per token; null without tokens"),
    ]
)

# All fields are null if the recipe corrects no lines.
LINES = pa.struct(
    [
        _field("n_lines_removed", pa.int32(), "lines that the recipe's corrections removed"),
        _field("n_lines_cut", pa.int32(), "lines that are kept and from which a phrase was removed"),
        _field(
            "frac_words_removed",
            pa.float64(),
            "share of `quality.n_words` that the corrections removed; 1 for a text without words",
        ),
    ]
)

SIGNAL_GROUPS: dict[str, pa.StructType] = {
    "urls": URLS,
    "language": LANGUAGE,
    "quality": QUALITY,
    "repetition": REPETITION,
    "lines": LINES,
    "gopher": GOPHER,
    "c4": C4,
    "fineweb": FINEWEB,
}

SIGNAL_DESCRIPTIONS: dict[str, str] = {
    "urls": "The page's host and domain, and matches of its URL with lists of domains and words.",
    "language": "The text's language by the language model.",
    "quality": "Gopher's measures of quality, as DCLM's code counts them.",
    "repetition": "Gopher's measures of repetition, as DCLM's code counts them: every copy counts.",
    "lines": "What the recipe's corrections of lines removed; null where the recipe corrects no lines.",
    "gopher": "Gopher's measures, as datatrove counts them: tokens of annotation.tokens; first copies do not count.",
    "c4": "C4's measures, as datatrove counts them: lines removed, and what the other lines contain.",
    "fineweb": "FineWeb's measures, on the text as annotated holds it.",
}
"""Signal group -> what it measures."""

# -- tables -----------------------------------------------------------------------------------------------------------

DOCUMENTS = pa.schema(
    [
        _required(
            "doc_id",
            pa.string(),
            "128-bit xxh3 of file name, offset and record id, or of a pool's id or URL and text: 32 hex letters",
        ),
        _required("dump", pa.string()),
        _field("url", pa.string()),
        _field("fetched_at", UTC_TIMESTAMP),
        _field("http_status", pa.int32()),
        _field("content_type", pa.string()),
        _field("charset", pa.string(), "charset that the page was decoded with"),
        _field("html_bytes", pa.int64(), "bytes of the page before its charset was decoded"),
        _required("warc_path", pa.string(), "path or URL of the archive file, without secrets"),
        _required(
            "warc_offset",
            pa.int64(),
            "offset in bytes of the record in its file; of a pool's line, in the decompressed file",
        ),
        _field("warc_record_id", pa.string()),
        _required("text", pa.string(), "text of the extractor or of the pool's line; may be empty, never null"),
        _field("metadata", pa.string(), "the other fields of a pool's line, one JSON object; null for archives"),
    ]
)

ANNOTATED = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        _field("url", pa.string()),
        *(_field(group, struct, SIGNAL_DESCRIPTIONS[group]) for group, struct in SIGNAL_GROUPS.items()),
        _required("text", pa.string(), "text after the recipe's corrections"),
    ]
)

FILTERED = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        _field("url", pa.string()),
        _field("host", pa.string()),
        _field("language", pa.string()),
        _field("n_words", pa.int32(), "fastText tokens that begin with a letter or digit"),
        _required("text", pa.string()),
    ]
)

SIGNATURES = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        _field("host", pa.string()),
        _required("n_chars", pa.int64(), "code points of the text"),
        _required(
            "n_shingles",
            pa.int32(),
            "number of shingles, repeated ones included; 0 where the text is too short for one",
        ),
        # The columns below are null for a document without shingles, which is in no candidate pair.
        _field("text_hash", pa.int64(), "hash of the normalized text's words: identical texts have the same hash"),
        _field("signature", pa.binary(), "MinHash signature: 16 bits for each permutation, little-endian"),
        _field(
            "keys", pa.binary(), "band keys: 64 bits for each band, little-endian; two candidates have one in common"
        ),
        _field(
            "shingles", pa.binary(), "distinct 64-bit hashes of shingles, ascending; null unless the recipe stores them"
        ),
    ]
)

DUPLICATES = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        _required("scope", pa.string(), "how far documents were compared: dump, shards, all or incremental"),
        _required("cluster_id", pa.string(), "doc_id of the cluster's survivor"),
        _required("cluster_size", pa.int64(), "number of documents in the cluster, 2 or more"),
        _field("similarity", pa.float64(), "similarity to the survivor, [0, 1]; 1 for the survivor itself"),
        _required("is_kept", pa.bool_(), "true for the survivor; with scope incremental also for earlier survivors"),
    ]
)

DEDUPLICATED = pa.schema(
    [
        *FILTERED,
        _required(
            "cluster_size", pa.int64(), "number of documents in its cluster, itself included; usable as a weight"
        ),
    ]
)

# -- ledgers ----------------------------------------------------------------------------------------------------------

QUARANTINE = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("warc_path", pa.string()),
        _field("warc_offset", pa.int64()),
        _field("warc_record_id", pa.string()),
        _field("url", pa.string()),
        _required("kind", pa.string(), "kind of fault, such as truncated or too_large"),
        _required("message", pa.string(), "description of the fault"),
    ]
)

CUT = pa.struct(
    [
        _field("paragraph", pa.int32()),
        _field("value", pa.float64()),
        _field("detail", pa.string()),
    ]
)
ANSWER = pa.struct([_field("flock", pa.int64()), _field("answer", pa.binary())])

REMOVED = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("doc_id", pa.string()),
        _required(
            "removed_by",
            pa.string(),
            "first signal whose bound was broken, no_text, or the reason of a later stage",
        ),
        _field("value", pa.float64(), "value of that signal, or the similarity or share that decided"),
        _field("detail", pa.string(), "the bound as text, or the document that was kept instead"),
        _field("url", pa.string()),
        _field("host", pa.string()),
        _field("language", pa.string()),
    ]
)

CUTS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("doc_id", pa.string()),
        _required("paragraph", pa.int32(), "number of the paragraph in the text of the table before, from 0"),
        _required("reason", pa.string()),
        _field("value", pa.float64(), "share of its n-grams that was seen before, [0, 1]"),
        _field(
            "detail",
            pa.string(),
            "earliest document that had one of these n-grams; null where the method does not know it",
        ),
    ]
)

# One row is a document that a deduplication method removes, or from which it removes paragraphs. `step` is the method's
# index in the recipe, from 0.
DECISIONS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("doc_id", pa.string()),
        _field(
            "removed_by", pa.string(), "reason why the whole document was removed; null where paragraphs are removed"
        ),
        _field("value", pa.float64(), "similarity or share that decided"),
        _field("detail", pa.string(), "the rule as text"),
        _field("survivor_id", pa.string(), "doc_id of the document that is kept instead; null where there is none"),
        _field("survivor_dump", pa.string(), "dump of the survivor; null where it is not known"),
        _field(
            "cuts", pa.list_(CUT), "paragraphs removed, in ascending order; null where the whole document is removed"
        ),
    ]
)

# One row is a document's key, by which a method finds documents with the same text or URL, also in later dumps.
EXACT_KEYS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("doc_id", pa.string()),
        _field("host", pa.string()),
        _field("n_chars", pa.int64(), "code points of the text; null where keys are those of URLs"),
        _required("key", pa.binary(), "16 bytes, see kernels.ngrams.exact_keys"),
    ]
)

# One row is a packet of n-grams that is sent to the filter, see kernels.ngrams.ngram_packets; not used afterwards.
NGRAMS = pa.schema(
    [
        _required("dump", pa.string(), "last one of the dumps that are deduplicated together"),
        _required("step", pa.int32()),
        _required(
            "flock", pa.int64(), "number of a group of about a thousand documents whose n-grams were packed together"
        ),
        _required("block", pa.int32(), "block of the filter; -1 for the packet of the flock itself"),
        _required("n_ngrams", pa.int64(), "n-grams in the packet"),
        _required("packet", pa.binary(), "the n-grams, packed"),
    ]
)

# One row says which units of a flock a round has kept; not used afterwards.
KEPT_UNITS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("flock", pa.int64()),
        _required("is_kept", pa.binary(), "one bit for each unit: 1 if it is kept"),
        _required("n_changed", pa.int64(), "number of units that the previous round decided otherwise"),
    ]
)

# One row is a block of a Bloom filter after a dump was added, and its answers to that dump's packets.
FILTER_BLOCKS = pa.schema(
    [
        _required("dump", pa.string(), "last dump that was added"),
        _required("step", pa.int32()),
        _required("block", pa.int32(), "number of the block"),
        _required("made_for", pa.string(), "settings that later dumps must have too, as JSON"),
        _required(
            "dumps", pa.list_(pa.string()), "all dumps whose n-grams it holds, in the order in which they were added"
        ),
        _required("n_ngrams", pa.int64(), "number of n-grams that it holds; of distinct ones if it is exact"),
        _required("fp_rate", pa.float64(), "false-positive rate: probability that a new n-gram counts as seen"),
        _field(
            "filter", pa.binary(), "packed content, see kernels.ngrams.filter_blocks; null unless later dumps are added"
        ),
        _required("answers", pa.list_(ANSWER), "answer of the block to each flock"),
    ]
)

# One row is a candidate pair: a text and the first text of a bucket that holds both. Pairs are of texts, not documents:
# identical texts are one. A text that two documents have is paired with itself. With the scope `shards`, texts are
# identical only within a shard, see `stages.signatures.in_shards`.
EDGES = pa.schema(
    [
        _required("dump", pa.string(), "dump of the document with this text"),
        _required("text_hash", pa.int64(), "hash of the text"),
        _required("other_hash", pa.int64(), "hash of the text that it was compared with"),
        _field("similarity", pa.float64(), "similarity of the two; null where nothing was verified"),
        _required("is_cut", pa.bool_(), "true if the edge is dropped, because the texts are not similar enough"),
        _field(
            "bucket_size",
            pa.int64(),
            "number of texts of a giant bucket, in the pairs that are its examples; else null",
        ),
    ]
)

# One row is a packet of edges: the checkpoint of a round of connected components; not used once these are found.
ROUNDS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("bucket", pa.int32(), "bucket of the edges' nodes, see kernels.graph.edge_packets.PACKETS"),
        _required("n_edges", pa.int64(), "edges in the packet"),
        _required("edges_hash", pa.int64(), "hash of the packet's edges"),
        _required("edges", pa.binary(), "the edges, packed"),
    ]
)

# One row is a cluster of an earlier run that a later dump has merged with another.
MERGED_CLUSTERS = pa.schema(
    [
        _required("dump", pa.string(), "dump that merged them"),
        _required("scope", pa.string()),
        _required("cluster_id", pa.string(), "id of the cluster that it now belongs to"),
        _required("merged_id", pa.string(), "id of the cluster before"),
    ]
)

# One row is one input file of a dump's current attempt: planned before the first record is read.
PLANS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("attempt_id", pa.string()),
        _required("part_hash", pa.string(), "hash of the recipe's extraction, which all batches share"),
        _required("batch", pa.int32(), "batch of files, from 0; a batch is one commit of `documents`"),
        _required("position", pa.int32(), "position in the batch, largest file first"),
        _required("path", pa.string(), "address of the file, without secrets"),
        _field("file_bytes", pa.int64(), "size of the file; null where the store was not asked"),
        _required(
            "n_skipped_files",
            pa.int32(),
            "number of files of the whole input that were skipped because they are not archives",
        ),
        _field("unread", pa.string(), "why the last try to read it failed; null if there was none"),
    ]
)

# One row is one input file that was read, with counts of its records. Written after `documents`, it closes a batch.
FILES = pa.schema(
    [
        _required("dump", pa.string()),
        _required("attempt_id", pa.string()),
        _required("batch", pa.int32(), "batch of the plan"),
        _required("path", pa.string(), "address of the file, without secrets"),
        _required("n_records", pa.int64(), "records read"),
        _required("n_documents", pa.int64(), "rows written to documents"),
        _required("n_quarantined", pa.int64(), "rows written to quarantine"),
        _required("skips", pa.map_(pa.string(), pa.int64()), "reason -> number of records skipped"),
        _field(
            "n_bad_digests",
            pa.int64(),
            "number of records whose digest differs from that in their header; null before 0.2",
        ),
        _field(
            "bad_dates",
            pa.map_(pa.string(), pa.int64()),
            "unreadable or out_of_range -> documents whose fetched_at is null for this reason; null before 0.2",
        ),
    ]
)

RUNS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("run_id", pa.string()),
        _field("attempt_id", pa.string(), "attempt that made `documents`; null for other stages"),
        _required("recipe", pa.string()),
        _required("recipe_hash", pa.string()),
        _required("recipe_json", pa.string()),
        _required("part_hash", pa.string(), "hash of the part of the recipe that this stage uses"),
        _required("versions", pa.map_(pa.string(), pa.string()), "package -> version"),
        _required(
            "upstream_runs",
            pa.map_(pa.string(), pa.string()),
            "table, or table and another dump -> run_id that made it",
        ),
        _required(
            "input_versions",
            pa.map_(pa.string(), pa.int64()),
            "table, or table and another dump -> Delta version that was read",
        ),
        _required("output_versions", pa.map_(pa.string(), pa.int64()), "table -> Delta version after the run"),
        _required(
            "n_rows_in",
            pa.int64(),
            "for `documents`, records in the files; for other stages, rows of the table that it reads",
        ),
        _required("n_rows_out", pa.int64(), "rows written to the stage's table"),
        _required("n_removed", pa.int64(), "rows written to removed"),
        _required("n_faults", pa.int64(), "rows written to quarantine"),
        _required("n_skipped", pa.int64(), "records skipped"),
        _field(
            "n_unread_files", pa.int64(), "number of files that `documents` was finished without; null for other stages"
        ),
        _required("started_at", UTC_TIMESTAMP),
        _required("seconds", pa.float64()),
    ]
)

# One row is the latest claim of a process to make a stage of a dump, on a store without locks; see `claims`.
CLAIMS = pa.schema(
    [
        _required("dump", pa.string(), 'the dump, or "*" where the stage compares several dumps'),
        _required("stage", pa.string()),
        _required("number", pa.int64(), "number of the claim, above those of all claims before"),
        _required("claim_id", pa.string(), "id of the claim"),
        _required("claimed_by", pa.string(), "process and host that claimed it"),
        _required("claimed_at", UTC_TIMESTAMP, "when it was claimed"),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "documents": DOCUMENTS,
    "annotated": ANNOTATED,
    "filtered": FILTERED,
    "signatures": SIGNATURES,
    "duplicates": DUPLICATES,
    "deduplicated": DEDUPLICATED,
    "edges": EDGES,
    "rounds": ROUNDS,
    "merged_clusters": MERGED_CLUSTERS,
    "quarantine": QUARANTINE,
    "removed": REMOVED,
    "cuts": CUTS,
    "decisions": DECISIONS,
    "exact_keys": EXACT_KEYS,
    "ngrams": NGRAMS,
    "kept_units": KEPT_UNITS,
    "filter_blocks": FILTER_BLOCKS,
    "plans": PLANS,
    "files": FILES,
    "runs": RUNS,
    "claims": CLAIMS,
}

DESCRIPTIONS: dict[str, str] = {
    "documents": "One row is one page's main text.",
    "annotated": "One row is the same page, its text corrected, with the recipe's signals measured.",
    "filtered": "One row is a document that broke none of the recipe's bounds.",
    "signatures": "One row is a document's MinHash signature and band keys, without its text.",
    "duplicates": "One row is a document's membership in a cluster of near-duplicates, within one scope.",
    "deduplicated": "One row is a document that survived deduplication, with repeated paragraphs removed.",
    "edges": "One row is a pair of texts that share a band key, how similar they are, and whether the pair is dropped.",
    "rounds": "One row is a packet of edges between the rounds of connected components; not used afterwards.",
    "merged_clusters": "One row is a cluster of an earlier run that a later dump has merged with another.",
    "quarantine": "One row is a record that failed: where it is, the stage, the kind of fault, a message.",
    "removed": "One row is a document that a stage removed, and why.",
    "cuts": "One row is a paragraph that was removed from a document that is kept.",
    "decisions": "One row is a document of which a dedup method removed something: all of it, or paragraphs.",
    "exact_keys": "One row is a document's hash of its text or URL, which later dumps are compared with.",
    "ngrams": "One row is a packet of n-grams that is sent to the filter; not used afterwards.",
    "kept_units": "One row says which units of a flock a round has kept; not used afterwards.",
    "filter_blocks": "One row is a block of the n-gram filter after a dump was added, and its answers to that dump.",
    "plans": "One row is an input file of the dump's current attempt: its batch, and why it could not be read.",
    "files": "One row is an input file that was read, with counts of its records.",
    "runs": "One row is a stage that finished: recipe, versions, rows in and out, seconds.",
    "claims": "One row is the latest claim of a process to make a stage of a dump, on a store without locks.",
}
"""Table -> what one row of it is; the table's comment in Delta."""

PARTITIONS: dict[str, tuple[str, ...]] = {
    table: tuple(name for name in ("dump", "stage", "step") if name in schema.names) for table, schema in TABLES.items()
}


def signals() -> Iterator[str]:
    """Yields the names of all signals that a bound may use, as `group.name`: those that are numbers."""
    for group, struct in SIGNAL_GROUPS.items():
        for field in struct:
            if not pa.types.is_string(field.type):
                yield f"{group}.{field.name}"
