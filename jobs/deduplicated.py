"""spark-submit jobs/deduplicated.py: makes the table `deduplicated`, with the options of `dclm-spark deduplicated`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("deduplicated")
