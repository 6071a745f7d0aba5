"""Holds the examples in the help of the stages' commands, one text for each stage: see `registry`."""

DOCUMENTS = """\
Example:
  dclm-spark documents --input warc/ more/file.warc.gz --dump CC-MAIN-2022-05 --warehouse lake

Makes `documents`, `quarantine` (records that failed) and `files` (counts of each file's records). Files that cannot be
read are named; run the same command later to read them, or finish the dump without them by --skip-unreadable.
"""

ANNOTATED = """\
Example:
  dclm-spark annotated --dump CC-MAIN-2022-05 --warehouse lake --strict-words banned.txt

Reads `documents` of the warehouse, or of --upstream. A language model or a list of words or domains is part of the
recipe: if its content changes, the recipe changes.
"""

FILTERED = """\
Example:
  dclm-spark filtered --dump CC-MAIN-2022-05 --warehouse lake --recipe mine.json --force

Makes `filtered` (documents kept) and `removed` (documents removed, and by which bound). After a change of a bound only
these tables are made again.
"""

SIGNATURES = """\
Example:
  dclm-spark signatures --dump CC-MAIN-2022-05 --warehouse lake --bands 20x13

Prints the S-curve of the bands and rows, then reads the texts of `filtered` once: another threshold, scope or survivor
order, and later dumps, read only `signatures`. A recipe without settings of near-duplicates gets 14 bands of 8 rows.
"""

DUPLICATES = """\
Examples:
  dclm-spark duplicates --dump CC-MAIN-2022-05 --warehouse lake --threshold 0.8
  dclm-spark duplicates --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --scope all

  A new dump, added to all earlier ones, whose kept documents stay kept:
  dclm-spark duplicates --dump CC-MAIN-2022-27 --warehouse lake --scope incremental

Makes `duplicates` (members of clusters), `edges` (candidate pairs and their similarity) and `merged_clusters`.
"""

DEDUPLICATED = """\
Examples:
  dclm-spark deduplicated --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake
  dclm-spark deduplicated --dump CC-MAIN-2022-05 --warehouse lake --method url text near bloom --scope dump

  As BFF does it, in ten shards, each read from its first document to its last by one worker:
  dclm-spark deduplicated --dump CC-MAIN-2022-05 --warehouse lake --method bloom --inserts kept \\
      --scope shards --shards 10

  A new dump, compared with all documents kept of earlier ones, whose texts are not read:
  dclm-spark deduplicated --dump CC-MAIN-2022-27 --warehouse lake --method bloom --scope incremental \\
      --capacity 200000000000

Makes `deduplicated` (documents kept, with the size of each one's cluster), `removed` (documents removed, why, and the
survivor) and `cuts` (paragraphs removed from documents that are kept).
"""
