"""spark-submit jobs/export.py: writes a table as a pool, with the options of `dclm-spark export`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("export")
