"""One Arrow schema per table, one struct per signal group: what every row of the product carries.

A schema is written once, here; Spark's types, the tables' columns and the kernels' results all follow from it.
A field whose metadata is absent may be null; `_required` fields never are.
"""

from collections.abc import Iterator

import pyarrow as pa

UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")


def _required(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=False)


# -- signal groups: the structs of `annotated` ------------------------------------------------------------------------

URLS = pa.struct(
    [
        pa.field("host", pa.string()),  # lower case, without port; null where the URL has none
        pa.field("registered_domain", pa.string()),  # public suffix plus one label; null for an IP address
        pa.field("n_banned_domains", pa.int32()),  # 1 if the recipe's list bans the host, else 0; null without a list
        pa.field("n_strict_words", pa.int32()),  # distinct banned words found; null where the recipe has no such list
        pa.field("n_hard_words", pa.int32()),
        pa.field("n_soft_words", pa.int32()),
        pa.field("n_excluded_domains", pa.int32()),  # 1 if the recipe itself names the domain, else 0
    ]
)

LANGUAGE = pa.struct(
    [
        pa.field("code", pa.string()),  # the likeliest language's label; null for a text without letters
        pa.field("p_code", pa.float64()),  # its probability
        pa.field("p_target", pa.float64()),  # `p_code` if the recipe wants that language, else 0
    ]
)

QUALITY = pa.struct(
    [
        pa.field("n_words", pa.int32()),  # fastText tokens that begin with a letter or digit: the length rule's words
        pa.field("n_words_split", pa.int32()),  # runs between white space
        pa.field("n_chars", pa.int64()),  # code points
        pa.field("n_replacement_chars", pa.int32()),  # U+FFFD among them: what could not be decoded
        pa.field("n_lines", pa.int32()),  # lines that are not blank
        pa.field("mean_word_chars", pa.float64()),  # of the white-space words
        pa.field("symbols_per_word", pa.float64()),  # "#" and ellipses per white-space word; may pass 1
        pa.field("frac_bullet_lines", pa.float64()),
        pa.field("frac_ellipsis_lines", pa.float64()),
        pa.field("frac_words_without_letter", pa.float64()),
        pa.field("n_stop_words", pa.int32()),  # occurrences, not distinct words
    ]
)

REPETITION = pa.struct(
    [
        pa.field("n_words", pa.int32()),  # UAX #29 segments that begin with a letter or digit: what n-grams are made of
        pa.field("frac_duplicate_lines", pa.float64()),
        pa.field("frac_duplicate_paragraphs", pa.float64()),
        pa.field("frac_duplicate_line_chars", pa.float64()),
        pa.field("frac_duplicate_paragraph_chars", pa.float64()),
        # Of the words' characters; may pass 1, since occurrences overlap.
        *(pa.field(f"frac_top_{n}gram_chars", pa.float64()) for n in (2, 3, 4)),
        *(pa.field(f"frac_duplicate_{n}gram_chars", pa.float64()) for n in (5, 6, 7, 8, 9, 10)),
    ]
)

# Gopher's rules as datatrove reads them. Tokens are those of `annotation.tokens`, punctuation marks among them.
GOPHER = pa.struct(
    [
        pa.field("n_tokens", pa.int32()),
        pa.field("n_words", pa.int32()),  # tokens that are more than punctuation
        pa.field("mean_word_chars", pa.float64()),  # null without words
        pa.field("hashes_per_token", pa.float64()),  # this and all shares below: null where there is nothing to share
        pa.field("ellipses_per_token", pa.float64()),
        pa.field("frac_bullet_lines", pa.float64()),
        pa.field("frac_ellipsis_lines", pa.float64()),
        pa.field("frac_tokens_with_letter", pa.float64()),
        pa.field("n_stop_words", pa.int32()),  # distinct words, not occurrences
        *(field for field in REPETITION if field.name.startswith("frac_")),  # only the second and later copies count
    ]
)

# C4's rules as datatrove reads them: lines that go, and what the others hold.
C4 = pa.struct(
    [
        pa.field("n_lines_removed", pa.int32()),
        pa.field("n_sentences", pa.int32()),  # of the lines that stay
        pa.field("n_lorem_ipsum", pa.int32()),  # lines that say it, of those that no rule before has removed
        pa.field("n_curly_brackets", pa.int32()),  # lines with "{", of those that no rule before has removed
        pa.field("n_bad_words", pa.int32()),  # of the text that goes on; null where the recipe has no such list
        pa.field("n_long_lines", pa.int32()),  # of 200 characters or more, in the text that goes on
    ]
)

# FineWeb's rules, measured on the text as `annotated` holds it.
FINEWEB = pa.struct(
    [
        pa.field("n_lines", pa.int32()),  # lines that are not blank
        pa.field("frac_punctuated_lines", pa.float64()),  # this and the next two: null without lines
        pa.field("frac_short_lines", pa.float64()),
        pa.field("frac_duplicate_line_chars", pa.float64()),
        pa.field("newlines_per_token", pa.float64()),  # null without tokens
    ]
)

# Null throughout where the recipe corrects no lines.
LINES = pa.struct(
    [
        pa.field("n_lines_removed", pa.int32()),
        pa.field("n_lines_cut", pa.int32()),  # lines that lost a phrase and stayed
        pa.field("frac_words_removed", pa.float64()),  # of `quality.n_words`; 1 for a text without words
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

# -- tables -----------------------------------------------------------------------------------------------------------

DOCUMENTS = pa.schema(
    [
        # 128-bit xxh3 of file base name, offset and record id, or of a pool's id or URL and text: 32 hex letters
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        pa.field("url", pa.string()),
        pa.field("fetched_at", UTC_TIMESTAMP),
        pa.field("http_status", pa.int32()),
        pa.field("content_type", pa.string()),
        pa.field("charset", pa.string()),  # the one the page was decoded with
        pa.field("html_bytes", pa.int64()),  # of the page as it was stored, before decoding
        _required("warc_path", pa.string()),  # the file as the input named it
        _required("warc_offset", pa.int64()),  # of a pool's line: its byte in the decompressed file
        pa.field("warc_record_id", pa.string()),
        _required("text", pa.string()),  # the extractor's, or the pool's; "" is a document
        pa.field("metadata", pa.string()),  # the other fields of a pool's line, one JSON object; null for archives
    ]
)

ANNOTATED = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        pa.field("url", pa.string()),
        *(pa.field(group, struct) for group, struct in SIGNAL_GROUPS.items()),
        _required("text", pa.string()),  # after the recipe's corrections
    ]
)

FILTERED = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        pa.field("url", pa.string()),
        pa.field("host", pa.string()),
        pa.field("language", pa.string()),
        pa.field("n_words", pa.int32()),
        _required("text", pa.string()),
    ]
)

SIGNATURES = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        pa.field("host", pa.string()),
        _required("n_chars", pa.int64()),  # code points of the text
        _required("n_shingles", pa.int32()),  # repeated ones each time; 0 where the text is too short for one
        # All that follow are null for a document without shingles: it is nobody's candidate.
        pa.field("text_hash", pa.int64()),  # of the normalised text's words: identical texts have the same
        pa.field("signature", pa.binary()),  # 16 bits a permutation, little-endian
        pa.field("keys", pa.binary()),  # 64 bits a band, little-endian: what two candidates share
        pa.field("shingles", pa.binary()),  # distinct 64-bit hashes, rising; null unless the recipe stores them
    ]
)

DUPLICATES = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("dump", pa.string()),
        _required("scope", pa.string()),  # of scopes.SCOPES
        _required("cluster_id", pa.string()),  # the doc_id of the cluster's survivor
        _required("cluster_size", pa.int64()),  # documents of the cluster, 2 or more
        pa.field("similarity", pa.float64()),  # to the survivor, [0, 1]; 1 for itself
        _required("is_kept", pa.bool_()),
    ]
)

DEDUPLICATED = pa.schema(
    [
        *FILTERED,
        _required("cluster_size", pa.int64()),  # documents that this one stands for, itself among them: a weight
    ]
)

# -- ledgers ----------------------------------------------------------------------------------------------------------

QUARANTINE = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("warc_path", pa.string()),
        pa.field("warc_offset", pa.int64()),
        pa.field("warc_record_id", pa.string()),
        pa.field("url", pa.string()),
        _required("kind", pa.string()),  # of kernels.outcomes, kernels.pools or kernels.pages
        _required("message", pa.string()),
    ]
)

CUT = pa.struct(
    [
        pa.field("paragraph", pa.int32()),
        pa.field("value", pa.float64()),
        pa.field("detail", pa.string()),
    ]
)
ANSWER = pa.struct([pa.field("flock", pa.int64()), pa.field("answer", pa.binary())])

REMOVED = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("doc_id", pa.string()),
        _required("removed_by", pa.string()),  # the first signal whose bound was broken; no_text
        pa.field("value", pa.float64()),  # its value
        pa.field("detail", pa.string()),  # the bound, in words
    ]
)

CUTS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("doc_id", pa.string()),
        _required("paragraph", pa.int32()),  # of the text of the table before, from 0
        _required("reason", pa.string()),
        pa.field("value", pa.float64()),  # the share of its n-grams that was seen before
        pa.field("detail", pa.string()),  # the earliest document that had one of them, where the method knows
    ]
)

# One row is a document of which a method of deduplication took something: all of it, or paragraphs. `step` is the
# method's place in the recipe, from 0.
DECISIONS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("doc_id", pa.string()),
        pa.field("removed_by", pa.string()),  # of the whole document; null where paragraphs are cut
        pa.field("value", pa.float64()),
        pa.field("detail", pa.string()),
        pa.field("survivor_id", pa.string()),  # the document that stays in its place, where there is one
        pa.field("survivor_dump", pa.string()),  # its dump, where keys say which it is
        pa.field("cuts", pa.list_(CUT)),  # rising paragraphs; null where the whole document goes
    ]
)

# One row is a document's key, by which a step finds those with the same text or URL, now and when later dumps come.
EXACT_KEYS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("doc_id", pa.string()),
        pa.field("host", pa.string()),
        pa.field("n_chars", pa.int64()),  # code points of the text; null where keys are those of URLs
        _required("key", pa.binary()),  # 16 bytes, see kernels.exact_keys
    ]
)

# One row is a packet of n-grams on their way to the filter, see kernels.ngram_packets; of no meaning afterwards.
NGRAMS = pa.schema(
    [
        _required("dump", pa.string()),  # the last one of those that are deduplicated together
        _required("step", pa.int32()),
        _required("flock", pa.int64()),  # some thousand documents, whose n-grams were packed together
        _required("block", pa.int32()),  # of the filter; -1 for the packet of the flock itself
        _required("n_ngrams", pa.int64()),
        _required("packet", pa.binary()),
    ]
)

# One row says which units of a flock a round has kept; of no meaning afterwards.
KEPT_UNITS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("step", pa.int32()),
        _required("flock", pa.int64()),
        _required("is_kept", pa.binary()),  # a bit a unit
        _required("n_changed", pa.int64()),  # units that the round before decided otherwise
    ]
)

# One row is a block of a Bloom filter after a dump was added, and what it answered that dump's packets.
FILTER_BLOCKS = pa.schema(
    [
        _required("dump", pa.string()),  # the last one added
        _required("step", pa.int32()),
        _required("block", pa.int32()),
        _required("made_for", pa.string()),  # the settings that all who ask must share, as JSON
        _required("dumps", pa.list_(pa.string())),  # all that it holds, in the order in which they were added
        _required("n_ngrams", pa.int64()),  # that it holds; distinct ones, if it is exact
        _required("fp_rate", pa.float64()),  # the chance that a new n-gram seems seen
        pa.field("filter", pa.binary()),  # kernels.filter_blocks; null unless later dumps are added
        _required("answers", pa.list_(ANSWER)),
    ]
)

# One row is a pair of candidates, each text and the first of a bucket that it shares; texts, not documents: identical
# ones are one. A text that two documents have is its own pair. Of scope `shards` a text is one within its shard, see
# `stages.signatures.in_shards`.
EDGES = pa.schema(
    [
        _required("dump", pa.string()),  # of the document whose text it is
        _required("text_hash", pa.int64()),
        _required("other_hash", pa.int64()),
        pa.field("similarity", pa.float64()),  # null where nothing was verified
        _required("is_cut", pa.bool_()),  # True where they are not alike
        pa.field("bucket_size", pa.int64()),  # texts of a giant bucket, in a few pairs that are its examples; else null
    ]
)

# What a large scope's connected components are cut by, round for round: of no meaning once they are found.
ROUNDS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("bucket", pa.int32()),  # the rest is kernels.edge_packets.PACKETS
        _required("n_edges", pa.int64()),
        _required("edges_hash", pa.int64()),
        _required("edges", pa.binary()),
    ]
)

# One row is a cluster of an earlier run that a later dump has joined with another.
MERGED_CLUSTERS = pa.schema(
    [
        _required("dump", pa.string()),  # the one that joined them
        _required("scope", pa.string()),
        _required("cluster_id", pa.string()),
        _required("merged_id", pa.string()),  # the id that it had before
    ]
)

# One row is one input file of a dump's current attempt: planned before the first record is read.
PLANS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("attempt_id", pa.string()),
        _required("part_hash", pa.string()),  # of the recipe's extraction, which all batches share
        _required("batch", pa.int32()),  # from 0; a batch is one commit of `documents`
        _required("position", pa.int32()),  # within the batch, largest file first
        _required("path", pa.string()),
        pa.field("file_bytes", pa.int64()),  # null where the store was not asked
        _required("n_skipped_files", pa.int32()),  # of the whole input: files of a folder that are no archives
        pa.field("unread", pa.string()),  # why it could not be read when it was last tried; null where it was not tried
    ]
)

# One row is one input file that was read, and what became of its records. Written after `documents`, it closes a batch.
FILES = pa.schema(
    [
        _required("dump", pa.string()),
        _required("attempt_id", pa.string()),
        _required("batch", pa.int32()),
        _required("path", pa.string()),
        _required("n_records", pa.int64()),
        _required("n_documents", pa.int64()),
        _required("n_quarantined", pa.int64()),
        _required("skips", pa.map_(pa.string(), pa.int64())),  # reason -> records
        # Records whose bytes have other digests than their headers say, kept or not; null before 0.2.
        pa.field("n_bad_digests", pa.int64()),
        # `unreadable` or `out_of_range` -> documents whose `fetched_at` is null for it; null before 0.2
        pa.field("bad_dates", pa.map_(pa.string(), pa.int64())),
    ]
)

RUNS = pa.schema(
    [
        _required("dump", pa.string()),
        _required("stage", pa.string()),
        _required("run_id", pa.string()),
        pa.field("attempt_id", pa.string()),  # of `documents`
        _required("recipe", pa.string()),
        _required("recipe_hash", pa.string()),
        _required("recipe_json", pa.string()),
        _required("part_hash", pa.string()),  # of what this stage alone takes from the recipe
        _required("versions", pa.map_(pa.string(), pa.string())),  # package -> version
        _required(
            "upstream_runs", pa.map_(pa.string(), pa.string())
        ),  # table, or table and another dump -> run_id that made it
        _required("input_versions", pa.map_(pa.string(), pa.int64())),  # the same -> Delta version it was read at
        _required("output_versions", pa.map_(pa.string(), pa.int64())),
        _required("n_rows_in", pa.int64()),  # records of the files for `documents`, rows of the table before else
        _required("n_rows_out", pa.int64()),
        _required("n_removed", pa.int64()),
        _required("n_faults", pa.int64()),
        _required("n_skipped", pa.int64()),
        pa.field("n_unread_files", pa.int64()),  # files that `documents` was allowed to leave out; null of other stages
        _required("started_at", UTC_TIMESTAMP),
        _required("seconds", pa.float64()),
    ]
)

# One row is the latest claim of a process to make a stage of a dump, on a store without locks; see `claims`.
CLAIMS = pa.schema(
    [
        _required("dump", pa.string()),  # "*" where the stage looks at several dumps
        _required("stage", pa.string()),
        _required("number", pa.int64()),  # above those of all claims before
        _required("claim_id", pa.string()),
        _required("claimed_by", pa.string()),  # a process, in words
        _required("claimed_at", UTC_TIMESTAMP),
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

PARTITIONS: dict[str, tuple[str, ...]] = {
    table: tuple(name for name in ("dump", "stage", "step") if name in schema.names) for table, schema in TABLES.items()
}


def signals() -> Iterator[str]:
    """The names of all signals that a bound may speak of, as `group.name`: those that are numbers."""
    for group, struct in SIGNAL_GROUPS.items():
        for field in struct:
            if not pa.types.is_string(field.type):
                yield f"{group}.{field.name}"
