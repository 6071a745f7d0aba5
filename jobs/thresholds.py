"""spark-submit jobs/thresholds.py: derives limits for other languages, with the options of `dclm-spark thresholds`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("thresholds")
