"""spark-submit jobs/export.py: writes a table as a pool, with the options of `dclm-spark export`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
