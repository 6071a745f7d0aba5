"""spark-submit jobs/documents.py: makes the table `documents`, with the options of `dclm-spark documents`."""

from dclm_spark.cli.main import job

if __name__ == "__main__":
    job("documents")
