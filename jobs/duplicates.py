"""spark-submit jobs/duplicates.py: makes the table `duplicates`, with the options of `dclm-spark duplicates`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["duplicates", *sys.argv[1:]]))
