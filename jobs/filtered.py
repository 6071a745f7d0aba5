"""spark-submit jobs/filtered.py: makes the table `filtered`, with the options of `dclm-spark filtered`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["filtered", *sys.argv[1:]]))
