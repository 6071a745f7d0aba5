"""spark-submit jobs/duplicates.py: makes the table `duplicates`, with the options of `dclm-spark duplicates`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("duplicates")
