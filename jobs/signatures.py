"""spark-submit jobs/signatures.py: makes the table `signatures`, with the options of `dclm-spark signatures`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["signatures", *sys.argv[1:]]))
