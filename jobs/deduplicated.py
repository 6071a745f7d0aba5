"""spark-submit jobs/deduplicated.py: makes the table `deduplicated`, with the options of `dclm-spark deduplicated`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["deduplicated", *sys.argv[1:]]))
