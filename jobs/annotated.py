"""spark-submit jobs/annotated.py: makes the table `annotated`, with the options of `dclm-spark annotated`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("annotated")
