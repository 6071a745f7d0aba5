"""spark-submit jobs/filtered.py: makes the table `filtered`, with the options of `dclm-spark filtered`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("filtered")
