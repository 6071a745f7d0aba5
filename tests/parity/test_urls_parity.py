"""The URL decisions that DCLM's own code made with its own word lists."""

import gzip
import json

import pyarrow as pa

from dclm_spark.kernels.signals.urls import measure_urls

# Words at which DCLM-Baseline drops a page: strict, hard, soft.
DROPPED_AT = (1, 1, 2)


def test_every_recorded_decision_is_met(shared_data):
    with gzip.open(shared_data / "golden" / "urls.jsonl.gz", "rt", encoding="utf-8") as lines:
        recorded = [json.loads(line) for line in lines]
    lists = {
        kind: tuple(path.read_text(encoding="utf-8").splitlines())
        for kind in ("strict", "hard", "soft")
        for path in [shared_data / "banlists" / f"refinedweb_banned_words_{kind}_reverse_engineered.txt"]
    }
    signals = measure_urls(pa.array([row["url"] for row in recorded]), **lists)
    counts = zip(*(signals.field(f"n_{kind}_words").to_pylist() for kind in lists), strict=True)
    differing = [
        row["url"]
        for row, found in zip(recorded, counts, strict=True)
        if [n < limit for n, limit in zip(found, DROPPED_AT, strict=True)] != row["pass"]
    ]
    assert differing == []
    assert len(recorded) > 37_000
    assert sum(not all(row["pass"]) for row in recorded) > 0
