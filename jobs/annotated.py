"""spark-submit jobs/annotated.py: makes the table `annotated`, with the options of `dclm-spark annotated`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["annotated", *sys.argv[1:]]))
