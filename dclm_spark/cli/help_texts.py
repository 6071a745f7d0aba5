"""What `dclm-spark --help` says: what it is for, and examples of each command."""

DESCRIPTION = """\
Common Crawl in, Delta tables partitioned by dump out, every record accounted for.

  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake
  dclm-spark funnel --warehouse lake
  dclm-spark explain --warehouse lake https://example.org/page

Each table is made by the command of its name (documents, annotated, filtered), `run` makes all of them. A command that
was killed goes on where it stopped when it is given again; one with nothing left to do says so.
"""

STATUSES = """\
Exit status:
  0    done, or there was nothing to do
  1    Spark failed, or its Java process ended
  2    an error that you can mend: an option, a recipe, an input, a warehouse
  3    all that can be is written, but more records or files failed than allowed
  130  interrupted, as by Ctrl-C (143: asked to end, as by kill)
"""

EXAMPLES = {
    "run": """\
Examples:
  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake

  Common Crawl's own list of a dump's files; the job fails if more than 1 % of the records do:
  dclm-spark run --input https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/warc.paths.gz \\
      --dump CC-MAIN-2022-05 --warehouse s3a://bucket/lake --max-fault-share 0.01

  Another recipe's bounds over the same documents and signals; only `filtered` and `removed` are made:
  dclm-spark run --recipe mine.json --dump CC-MAIN-2022-05 --upstream lake --warehouse ablation

A recipe that takes several dumps at once for it leaves `deduplicated` to the command of that name.
The same command again goes on where a killed one stopped, and does nothing where nothing changed.
Exit status: 0, 1 if Spark failed, 2 for what you can mend, 3 if all that can be is written but more failed than is
allowed, 130 if interrupted.
""",
    "dedup": """\
Examples:
  dclm-spark dedup plan --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --scope shards --shards 10
  dclm-spark dedup survey --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --plot survey.svg
  dclm-spark dedup survey --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --by length --choices near-all

Each choice makes its tables below --scratch, texts that stay among them, and borrows `filtered` from the warehouse; the
same command again makes what has changed. Delete the folder once you have chosen.
""",
    "lsh": """\
Examples:
  dclm-spark lsh --recipe fineweb
  dclm-spark lsh --bands 20x13 --plot curve.png
  dclm-spark lsh --similarity 0.8 --permutations 256
""",
    "funnel": """\
Example:
  dclm-spark funnel --warehouse lake --dump CC-MAIN-2022-05 --json

  What would a longer least length keep, and what no rule on letters? Counted from the signals; no text is read:
  dclm-spark funnel --warehouse lake --what-if quality.n_words=80 quality.frac_words_without_letter=none
""",
    "explain": """\
Examples:
  dclm-spark explain --warehouse lake https://example.org/page
  dclm-spark explain --html page.html --url https://example.org/page --recipe mine.json
""",
    "clusters": """\
Examples:
  dclm-spark clusters --warehouse lake
  dclm-spark clusters --warehouse lake --dump CC-MAIN-2022-05 --chained 20

  One page's cluster: its members, and word by word what differs from the one that stays:
  dclm-spark clusters --warehouse lake https://example.org/page --members 5

  How many clusters are of which size, as bars and as a picture:
  dclm-spark clusters --warehouse lake --sizes --plot sizes.svg

  Texts that are in so many pages that they were set apart, and clusters that a later dump has joined:
  dclm-spark clusters --warehouse lake --giants
  dclm-spark clusters --warehouse lake --merged

Reads `duplicates`, `edges` and `merged_clusters`. A cluster goes by its survivor's doc_id; similarities are to it.
""",
    "export": """\
Examples:
  dclm-spark export --warehouse lake --dump CC-MAIN-2022-05 --to pool filtered
  dclm-spark export documents --warehouse s3a://bucket/lake --to s3://bucket/pool --format jsonl.gz --files 100

Lines have `url`, `text` and `metadata`, as DCLM's code reads them; what came from a pool keeps its other fields. The
same rows and number of files give the same bytes.
""",
    "thresholds": """\
Examples:
  dclm-spark run --input warc/ --dump reference --warehouse lake --recipe fineweb2
  dclm-spark thresholds --warehouse lake --recipe fineweb2 --languages de ja ko --out german.json
  dclm-spark run --input more/ --dump CC-MAIN-2022-05 --warehouse other --recipe german.json

Reads the signals of reference pages in `annotated` and, for stop words, their texts. Limits on shares, ratios and means
become one a language; the others stay as they are.
""",
    "maintain": """\
Example:
  dclm-spark maintain --warehouse lake --retain-hours 168

A version that the latest run of some stage has read or written is pinned: its files stay, whatever their age. What
another warehouse borrowed as --upstream is not known here, and stays for --retain-hours.
""",
    "recipe": """\
Example:
  dclm-spark recipe --hard-words banned.txt show dclm_baseline > mine.json
  dclm-spark recipe diff dclm_baseline mine.json

  What DCLM's code does under one of its configurations; steps that have no counterpart are named:
  dclm-spark recipe show dclm/baselines/baselines_configs/dclm_baseline_refinedweb.yaml
""",
}
