"""spark-submit jobs/documents.py: makes the table `documents`, with the options of `dclm-spark documents`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["documents", *sys.argv[1:]]))
