"""spark-submit jobs/signatures.py: makes the table `signatures`, with the options of `dclm-spark signatures`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("signatures")
