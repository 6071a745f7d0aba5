"""Examples in the help of the stages' commands, one text a stage: see `registry`."""

DOCUMENTS = """\
Example:
  dclm-spark documents --input warc/ more/file.warc.gz --dump CC-MAIN-2022-05 --warehouse lake

Makes `documents`, `quarantine` (records that failed) and `files` (what became of each file's records). Files that
cannot be read are named, and read by the same command later; --skip-unreadable finishes the dump without them.
"""

ANNOTATED = """\
Example:
  dclm-spark annotated --dump CC-MAIN-2022-05 --warehouse lake --strict-words banned.txt

Reads `documents` of the warehouse, or of --upstream. A language model or a list of words or domains is a part of the
recipe, and counts by its content.
"""

FILTERED = """\
Example:
  dclm-spark filtered --dump CC-MAIN-2022-05 --warehouse lake --recipe mine.json --force

Makes `filtered` (what stays) and `removed` (what goes, and by which bound). A changed bound redoes this table alone.
"""

SIGNATURES = """\
Example:
  dclm-spark signatures --dump CC-MAIN-2022-05 --warehouse lake --bands 20x13

Prints the S-curve of the choice, then reads the texts of `filtered`, once: another threshold, scope or survivor order,
and every later dump, read `signatures` alone. A recipe that looks for no near-duplicates gets 14 bands of 8 rows.
"""

DUPLICATES = """\
Examples:
  dclm-spark duplicates --dump CC-MAIN-2022-05 --warehouse lake --threshold 0.8
  dclm-spark duplicates --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --scope all

  Tomorrow's dump, added to all that came before; what was kept stays:
  dclm-spark duplicates --dump CC-MAIN-2022-27 --warehouse lake --scope incremental

Makes `duplicates` (members of clusters), `edges` (pairs of candidates and how alike they are) and `merged_clusters`.
"""

DEDUPLICATED = """\
Examples:
  dclm-spark deduplicated --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake
  dclm-spark deduplicated --dump CC-MAIN-2022-05 --warehouse lake --method url text near bloom --scope dump

  As BFF does it, in ten shards, of which each worker reads one from its first document to its last:
  dclm-spark deduplicated --dump CC-MAIN-2022-05 --warehouse lake --method bloom --inserts kept \\
      --scope shards --shards 10

  Tomorrow's dump, compared with what was kept of all before, without their texts:
  dclm-spark deduplicated --dump CC-MAIN-2022-27 --warehouse lake --method bloom --scope incremental \\
      --capacity 200000000000

Makes `deduplicated` (what stays, with the number of documents that each stands for), `removed` (what goes, why, and for
which document) and `cuts` (paragraphs taken out of what stays).
"""
